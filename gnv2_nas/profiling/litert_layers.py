"""Whose time it was: XNNPACK's operators brought back to the operators of the graph."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

import numpy as np
import tflite
from numpy.typing import NDArray

from gnv2_nas.errors import MeasurementError
from gnv2_nas.formats.tflite.writer import OUTPUT
from gnv2_nas.profiling.litert_profiler import Event, LiteRtProfiler
from gnv2_nas.profiling.runtime import LAYOUT

_CONVOLUTION = ("Convolution (NHWC", "Fully Connected")
_TAGS: dict[str, tuple[str, ...]] = {
    "CONV_2D": _CONVOLUTION,
    "DEPTHWISE_CONV_2D": _CONVOLUTION,
    "FULLY_CONNECTED": ("Fully Connected",),
    "ADD": ("Add",),
    "MUL": ("Multiply",),
    "CONCATENATION": ("Copy", "Concatenate"),
    "RESHAPE": ("Static Reshape",),
    "SLICE": ("Slice",),
    "PAD": ("Constant Pad",),
    "MEAN": ("Mean",),
    "AVERAGE_POOL_2D": ("Average Pooling",),
    "MAX_POOL_2D": ("Max Pooling",),
    "LOGISTIC": ("Sigmoid",),
    "HARD_SWISH": ("HardSwish",),
    "RESIZE_BILINEAR": ("Resize Bilinear",),
    "TRANSPOSE": ("Transpose",),
    "BATCH_MATMUL": ("Batch Matrix Multiply",),
}
"""Operator in the file → how XNNPACK's names for it begin."""
_VANISHING = frozenset({"PAD"})
"""Those that XNNPACK may make part of the next one."""
_CONVERSION = "Convert"
"""To half precision and back."""


def litert_layer_seconds(
    content: bytes, image: NDArray[np.float32], threads: int, runs: int, flags: int
) -> dict[str, float]:
    """Name of an op of the graph → mean seconds of an inference.

    The rest of each inference, which is the way from one operator to the next, is under `LAYOUT`.

    Args:
        content: a TFLite file from `tflite_bytes`.
        image: (1, 3, height, width).
        flags: of XNNPACK's delegate.

    Raises:
        MeasurementError: the profile does not fit the file.
    """
    operators = list(_operators(content))
    total: defaultdict[str, float] = defaultdict(float)
    with LiteRtProfiler(content, image.transpose(0, 2, 3, 1), threads, flags) as profiler:
        profiler.run()
        for _ in range(runs):
            events, whole = profiler.run()
            for name, seconds in _attributed(events, operators):
                total[name] += seconds
            total[LAYOUT] += max(whole - sum(seconds for _, seconds in events), 0.0)
    return {name: seconds / runs for name, seconds in total.items()}


def _operators(content: bytes) -> Iterator[tuple[str, str]]:
    """Kind of each operator in the file and name of the graph's op it was written for."""
    model = tflite.Model.GetRootAs(content)
    graph = model.Subgraphs(0)
    codes = [model.OperatorCodes(i).BuiltinCode() for i in range(model.OperatorCodesLength())]
    for index in range(graph.OperatorsLength()):
        operator = graph.Operators(index)
        kind = tflite.opcode2name(codes[operator.OpcodeIndex()])
        name = graph.Tensors(operator.Outputs(0)).Name().decode()
        if name == OUTPUT:
            # The tensors of weights carry the op's own name.
            weight = graph.Tensors(operator.Inputs(1)).Name().decode()
            name = weight.removesuffix(".weight")
        yield kind, name.partition(":")[0]


def _attributed(
    events: Sequence[Event], operators: Sequence[tuple[str, str]]
) -> Iterator[tuple[str, float]]:
    """The op's name and the seconds of each event.

    XNNPACK keeps the order of the file. What it adds, such as reshaping before a fully connected
    layer, counts for the operator before.
    """
    position, name = 0, operators[0][1]
    for tag, seconds in events:
        following = position
        while following < len(operators) and operators[following][0] in _VANISHING:
            if tag.startswith(_TAGS[operators[following][0]]):
                break
            following += 1
        if following < len(operators) and tag.startswith(_TAGS[operators[following][0]]):
            name = operators[following][1]
            position = following + 1
        yield (LAYOUT if tag.startswith(_CONVERSION) else name), seconds
    if position < len(operators):
        kind, name = operators[position]
        raise MeasurementError(
            f"LiteRT cannot tell the time of layers: no time was given for {kind} {name!r}"
        )
