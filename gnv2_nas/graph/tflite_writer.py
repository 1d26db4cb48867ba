"""`tflite_bytes`: Graph → TFLite, one table op kind → operators (in `tflite_operators`)."""

from __future__ import annotations

from typing import Any

from gnv2_nas.arch import Architecture
from gnv2_nas.graph.checkpoint_contents import ARCHITECTURE_KEY
from gnv2_nas.graph.prepared import prepared
from gnv2_nas.graph.tflite_model import TfliteModel, nhwc
from gnv2_nas.graph.tflite_operators import OPERATORS
from gnv2_nas.graph.tflite_wire import serialized

INPUT, OUTPUT = "input", "logits"
CHANNEL_MULTIPLE = 1
"""XNNPACK's kernels mask what does not fill a vector; zeros only make them work more."""
JOIN_UP_TO = 32
"""Channels of a Ghost module: two vectors of AVX-512. Wider ones stay in parts."""


def tflite_bytes(
    arch: Architecture,
    model: Any = None,
    *,
    channel_multiple: int = CHANNEL_MULTIPLE,
    join_up_to: int = JOIN_UP_TO,
    half: bool = False,
) -> bytes:
    """A TFLite file of `arch`: float32, batch norm folded, input "input" (1, height, width, 3),
    output "logits" (1, classes).

    A tensor has the name of the op it is the output of, perhaps with ":" and what part or step
    of it; of an op and the activation function fused into it, the latter's. The metadata holds
    the architecture's JSON.

    Args:
        arch: the network.
        model: the torch module whose weights go in (`build_model(arch)`, trained or not); without
            one, weights made for timing.
        channel_multiple, join_up_to: see `prepared`.
        half: whether XNNPACK is to run it at half precision, which takes the runtime's flag as
            well. The file is float32 all the same.

    Raises:
        CheckpointError: the module's weights are not those of `arch`.
    """
    graph, weights = prepared(arch, model, channel_multiple, join_up_to, plain=True)
    file = TfliteModel(graph, weights, half=half)
    last = len(graph.ops) - 1
    file.parts[0] = (file.tensor(INPUT, nhwc(graph.ops[0])),)
    for number, op in enumerate(graph.ops[1:], start=1):
        name = OUTPUT if number == last else file.output_name(number)
        file.parts[number] = OPERATORS[op.kind](file, number, op, name)
    return serialized(
        file.tensors,
        file.operators,
        {INPUT: file.whole(0)},
        {OUTPUT: file.whole(last)},
        {ARCHITECTURE_KEY: arch.to_json().encode()},
    )
