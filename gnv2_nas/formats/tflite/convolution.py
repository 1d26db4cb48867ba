"""Convolutions in TFLite, of a feature map in one tensor or in several."""

from __future__ import annotations

import numpy as np

from gnv2_nas.formats.tflite.model import (
    CHANNELS,
    PADDING_SAME,
    PADDING_VALID,
    RELU6,
    TfliteModel,
    nhwc,
)
from gnv2_nas.graph.op import Op
from gnv2_nas.graph.weights import Array


def convolution(model: TfliteModel, number: int, op: Op, name: str) -> tuple[int, ...]:
    """Writes convolution `number`; returns the tensors that hold its output."""
    kernel, bias = model.weights.fold(op)
    activation = model.activation(number)
    if activation == RELU6:
        # Of a hard sigmoid, relu6(x + 3) / 6; its own operator divides.
        bias = bias + np.float32(3)
    (source,) = op.inputs
    if op.groups > 1:
        return _depthwise(model, op, name, kernel, bias, activation)
    if len(model.parts[source]) > 1 and _joining_is_cheaper(op):
        model.whole(source)
    return (_pointwise(model, op, name, kernel, bias, activation),)


def _joining_is_cheaper(op: Op) -> bool:
    """Whether to join the parts a convolution reads, rather than to add up what it makes of them.

    Numbers moved: every one that is joined is read and written; a sum reads two and writes one.
    """
    return 2 * op.in_channels <= 3 * op.shape[0]


def _depthwise(
    model: TfliteModel, op: Op, name: str, kernel: Array, bias: Array, activation: int
) -> tuple[int, ...]:
    """Each part by itself."""
    times = op.shape[0] // op.in_channels
    start, outputs = 0, []
    for part, label in model.named_parts(op.inputs[0], name):
        stop = start + model.shape(part)[CHANNELS] * times
        output = model.tensor(label, (*nhwc(op)[:CHANNELS], stop - start))
        _operator(model, op, part, kernel[start:stop], bias[start:stop], output, activation)
        outputs.append(output)
        start = stop
    return tuple(outputs)


def _pointwise(
    model: TfliteModel, op: Op, name: str, kernel: Array, bias: Array, activation: int
) -> int:
    """A convolution of the map, or the sum of one for each part."""
    parts = list(model.named_parts(op.inputs[0], name))
    start, total = 0, -1
    for part, label in parts:
        stop = start + model.shape(part)[CHANNELS]
        output = model.tensor(label, nhwc(op))
        alone = activation if len(parts) == 1 else 0
        _operator(model, op, part, kernel[:, start:stop], bias, output, alone)
        if start:
            last = stop == kernel.shape[1]
            inputs = [total, output]
            output = model.tensor(name if last else f"{label}:sum", nhwc(op))
            act = activation if last else 0
            model.operator("ADD", inputs, output, "AddOptions", FusedActivationFunction=act)
        total, start, bias = output, stop, np.zeros_like(bias)
    return total


def _operator(
    model: TfliteModel,
    op: Op,
    source: int,
    kernel: Array,
    bias: Array,
    output: int,
    activation: int,
) -> None:
    """One operator; kernel as in torch, (out, in / groups, height, width)."""
    suffix = model.tensors[output].name.partition(":")[1:]
    label = "".join(suffix)
    depthwise = op.groups > 1
    order = (1, 2, 3, 0) if depthwise else (0, 2, 3, 1)
    sides = model.shape(source)[1:CHANNELS]
    # TFLite's own padding of a strided convolution is torch's on odd sides only.
    same = op.stride == 1 or all(
        taps == 1 or side % 2 for taps, side in zip(op.kernel, sides, strict=True)
    )
    inputs = [
        source if same else _padded(model, op, source, output),
        model.constant(f"{op.weight}.weight{label}", kernel.transpose(order)),
        model.constant(f"{op.weight}.bias{label}", bias),
    ]
    fields = {
        "Padding": PADDING_SAME if same else PADDING_VALID,
        "StrideW": op.stride,
        "StrideH": op.stride,
        "FusedActivationFunction": activation,
        "DilationWFactor": 1,
        "DilationHFactor": 1,
    }
    if depthwise:
        fields["DepthMultiplier"] = op.shape[0] // op.in_channels
        model.operator("DEPTHWISE_CONV_2D", inputs, output, "DepthwiseConv2DOptions", **fields)
    else:
        model.operator("CONV_2D", inputs, output, "Conv2DOptions", **fields)


def _padded(model: TfliteModel, op: Op, source: int, output: int) -> int:
    """The map with zeros where the convolution reads past its edge; XNNPACK fuses the two."""
    shape = model.shape(source)
    ends = [(0, 0)]
    for taps, side, out in zip(op.kernel, shape[1:CHANNELS], op.shape[1:], strict=True):
        before = taps // 2
        ends.append((before, max((out - 1) * op.stride + taps - side - before, 0)))
    ends.append((0, 0))
    name = f"{model.tensors[output].name}:pad"
    paddings = model.constant(f"{name}:ends", np.array(ends, np.int32))
    grown = [side + sum(both) for side, both in zip(shape, ends, strict=True)]
    return model.operator("PAD", [source, paddings], model.tensor(name, grown), "PadOptions")
