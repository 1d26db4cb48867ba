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
"""Of the schema's `ActivationFunctionType`."""
PADDING_SAME, PADDING_VALID = 0, 1
"""Of the schema's `Padding`."""

_FUSED = {"relu": RELU, "hard_sigmoid": RELU6}


class TfliteModel:
    """Tensors and operators, and where the output of every op of the graph is.

    A feature map is one tensor or several, each with some of its channels, in order: the halves
    of a Ghost module stay apart until something must have them in one.
    """

    def __init__(self, graph: Graph, weights: Weights, *, half: bool) -> None:
        self.ops = graph.ops
        self.weights = weights
        self.half = half
        """Whether the file will be run at half precision, where XNNPACK takes fewer forms."""
        self.tensors: list[Tensor] = []
        self.operators: list[Operator] = []
        self.parts: dict[int, tuple[int, ...]] = {}
        """Number of an op → the tensors that hold its output."""
        self._shared: dict[tuple[int, ...], int] = {}
        self._readers: list[list[Op]] = [[] for _ in graph.ops]
        for op in graph.ops:
            for source in op.inputs:
                self._readers[source].append(op)

    def only_reader(self, number: int) -> Op | None:
        """The op that reads the output of op `number`, if there is exactly one."""
        readers = self._readers[number]
        return readers[0] if len(readers) == 1 else None

    def activation(self, number: int) -> int:
        """What is fused into a convolution because only it reads the output."""
        reader = self.only_reader(number)
        return NO_ACTIVATION if reader is None else _FUSED.get(reader.kind, NO_ACTIVATION)

    def output_name(self, number: int) -> str:
        """Of op `number`, or of the activation function that is fused into it."""
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
        """A constant vector of int32; equal ones are one."""
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
        """Appends an operator; returns its output."""
        table = tuple(fields.items())
        self.operators.append(Operator(kind, version, tuple(inputs), output, options, table))
        return output

    def whole(self, number: int) -> int:
        """The output of op `number` in one tensor, joined if it has to be."""
        parts = self.parts[number]
        if len(parts) > 1:
            name = self.ops[number].name
            joined = self.tensor(name, nhwc(self.ops[number]))
            self.operator("CONCATENATION", parts, joined, "ConcatenationOptions", Axis=CHANNELS)
            self.parts[number] = (joined,)
        return self.parts[number][0]

    def named_parts(self, number: int, name: str) -> Iterator[tuple[int, str]]:
        """The tensors of op `number`, each with a name for what is made of it."""
        parts = self.parts[number]
        for index, part in enumerate(parts):
            yield part, name if len(parts) == 1 else f"{name}:{index}"

    def channels(self, source: int, start: int, stop: int, name: str) -> int:
        """Channels `start` to `stop` of a tensor; itself, if that is all of them."""
        *front, channels = self.shape(source)
        if stop - start == channels:
            return source
        shape = (*front, stop - start)
        inputs = [source, self.integers(0, 0, 0, start), self.integers(*shape)]
        return self.operator("SLICE", inputs, self.tensor(name, shape), "SliceOptions")

    def reshaped(self, source: int, name: str, shape: Sequence[int]) -> int:
        """The same numbers in another shape; costs nothing in XNNPACK."""
        inputs = [source, self.integers(*shape)]
        return self.operator("RESHAPE", inputs, self.tensor(name, shape), "ReshapeOptions")


def nhwc(op: Op) -> tuple[int, int, int, int]:
    """Shape of the op's output."""
    channels, height, width = op.shape
    return (1, height, width, channels)


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
