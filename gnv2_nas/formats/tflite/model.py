"""The TFLite model under construction, and convolutions of maps in one tensor or several."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gnv2_nas.formats.tflite.wire import Operator, Tensor
from gnv2_nas.graph.op import Graph, Op
from gnv2_nas.graph.weights import Array, Weights

CHANNELS = 3
"""Axis of the channels in (batch, height, width, channels)."""
NO_ACTIVATION, RELU, RELU6 = 0, 1, 3
"""Values of the schema's `ActivationFunctionType`."""
PADDING_SAME, PADDING_VALID = 0, 1
"""Values of the schema's `Padding`."""

_FUSED = {"relu": RELU, "hard_sigmoid": RELU6}


class TfliteModel:
    """Tensors and operators under construction.

    A feature map is one tensor, or several with some of its channels each: the halves of a Ghost
    module stay apart until an operator needs them in one tensor.
    """

    def __init__(self, graph: Graph, weights: Weights, *, half: bool) -> None:
        self.ops = graph.ops
        self.weights = weights
        self.half = half
        """Whether XNNPACK will run the file in half precision, which supports fewer operators."""
        self.tensors: list[Tensor] = []
        self.operators: list[Operator] = []
        self.parts: dict[int, tuple[int, ...]] = {}
        """Op number → the tensors with its output."""
        self._shared: dict[tuple[int, ...], int] = {}
        self._readers = graph.readers()

    def only_reader(self, number: int) -> Op | None:
        """The op that reads op `number`, if there is exactly one."""
        readers = self._readers[number]
        return self.ops[readers[0]] if len(readers) == 1 else None

    def activation(self, number: int) -> int:
        """The activation that is fused into convolution `number`."""
        reader = self.only_reader(number)
        return NO_ACTIVATION if reader is None else _FUSED.get(reader.kind, NO_ACTIVATION)

    def output_name(self, number: int) -> str:
        """Name of op `number`, or of the activation that is fused into it."""
        reader = self.only_reader(number)
        fused = self.ops[number].kind == "conv" and reader is not None and reader.kind == "relu"
        return reader.name if fused and reader else self.ops[number].name

    def tensor(self, name: str, shape: Sequence[int]) -> int:
        self.tensors.append(Tensor(name, tuple(shape)))
        return len(self.tensors) - 1

    def constant(self, name: str, data: NDArray[Any]) -> int:
        self.tensors.append(Tensor(name, data.shape, np.ascontiguousarray(data)))
        return len(self.tensors) - 1

    def integers(self, *values: int) -> int:
        """A constant vector of int32; equal vectors share a tensor."""
        if values not in self._shared:
            name = ":".join(["integers", *map(str, values)])
            self._shared[values] = self.constant(name, np.array(values, np.int32))
        return self._shared[values]

    def shape(self, tensor: int) -> tuple[int, ...]:
        return self.tensors[tensor].shape

    def operator(
        self,
        kind: str,
        inputs: Sequence[int],
        output: int,
        options: str = "",
        version: int = 1,
        **fields: Any,
    ) -> int:
        """Append an operator; return its output."""
        table = tuple(fields.items())
        self.operators.append(Operator(kind, version, tuple(inputs), output, options, table))
        return output

    def whole(self, number: int) -> int:
        """The output of op `number` in one tensor; concatenates its parts if necessary."""
        parts = self.parts[number]
        if len(parts) > 1:
            name = self.ops[number].name
            whole = self.tensor(name, nhwc(self.ops[number]))
            self.operator("CONCATENATION", parts, whole, "ConcatenationOptions", Axis=CHANNELS)
            self.parts[number] = (whole,)
        return self.parts[number][0]

    def named_parts(self, number: int, name: str) -> Iterator[tuple[int, str]]:
        """Yield each tensor of op `number` with a name for the output computed from it."""
        parts = self.parts[number]
        for index, part in enumerate(parts):
            yield part, name if len(parts) == 1 else f"{name}:{index}"

    def channels(self, source: int, start: int, stop: int, name: str) -> int:
        """Channels `start` to `stop` of a tensor; the tensor itself if these are all."""
        *front, channels = self.shape(source)
        if stop - start == channels:
            return source
        shape = (*front, stop - start)
        inputs = [source, self.integers(0, 0, 0, start), self.integers(*shape)]
        return self.operator("SLICE", inputs, self.tensor(name, shape), "SliceOptions")

    def reshape(self, source: int, name: str, shape: Sequence[int]) -> int:
        """The same values in another shape; free in XNNPACK."""
        inputs = [source, self.integers(*shape)]
        return self.operator("RESHAPE", inputs, self.tensor(name, shape), "ReshapeOptions")


def nhwc(op: Op) -> tuple[int, int, int, int]:
    """Shape of the op's output in NHWC order."""
    channels, height, width = op.shape
    return (1, height, width, channels)


def convolution(model: TfliteModel, number: int, op: Op, name: str) -> tuple[int, ...]:
    """Write convolution `number`; return the tensors with its output."""
    kernel, bias = model.weights.fold(op)
    activation = model.activation(number)
    if activation == RELU6:
        # For relu6(x + 3) / 6, the hard sigmoid; its own operator divides.
        bias = bias + np.float32(3)
    (source,) = op.inputs
    if op.groups > 1:
        return _depthwise(model, op, name, kernel, bias, activation)
    if len(model.parts[source]) > 1 and _concat_is_cheaper(op):
        model.whole(source)
    return (_pointwise(model, op, name, kernel, bias, activation),)


def _concat_is_cheaper(op: Op) -> bool:
    """Whether concatenating the inputs is cheaper than adding the outputs of one convolution per
    part. A concatenation moves each input value twice, a sum each output value three times."""
    return 2 * op.in_channels <= 3 * op.shape[0]


def _depthwise(
    model: TfliteModel, op: Op, name: str, kernel: Array, bias: Array, activation: int
) -> tuple[int, ...]:
    """One depthwise convolution per part."""
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
    """One convolution of the map, or the sum of one per part."""
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
    """Write one operator; the kernel is torch's, (out, in / groups, height, width)."""
    suffix = model.tensors[output].name.partition(":")[1:]
    label = "".join(suffix)
    depthwise = op.groups > 1
    order = (1, 2, 3, 0) if depthwise else (0, 2, 3, 1)
    sides = model.shape(source)[1:CHANNELS]
    # TFLite's padding of a strided convolution equals torch's only for odd sides.
    same = op.stride == 1 or all(
        taps == 1 or side % 2 for taps, side in zip(op.kernel, sides, strict=True)
    )
    inputs = [
        source if same else _pad(model, op, source, output),
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


def _pad(model: TfliteModel, op: Op, source: int, output: int) -> int:
    """The map with zero padding as a separate operator; XNNPACK fuses it."""
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
