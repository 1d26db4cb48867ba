"""ONNX files in half precision or 8 bits (quantize and dequantize nodes, QDQ form)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, numpy_helper


def convert_to_half(onnx_file: bytes) -> bytes:
    """The file in float16. Its input and output stay float32.

    Args:
        onnx_file: a float32 file from `onnx_bytes` with values within ±65504.
    """
    model = onnx.load_from_string(onnx_file)
    graph = model.graph
    # The scales of a resize are always float32.
    kept = {name for node in graph.node if node.op_type == "Resize" for name in node.input[1:]}
    for constant in graph.initializer:
        if constant.data_type == TensorProto.FLOAT and constant.name not in kept:
            values = numpy_helper.to_array(constant).astype(np.float16)
            constant.CopyFrom(numpy_helper.from_array(values, constant.name))
    (image,), (logits,) = graph.input, graph.output
    for node in graph.node:
        node.input[:] = [_half(name) if name == image.name else name for name in node.input]
        node.output[:] = [_half(name) if name == logits.name else name for name in node.output]
    graph.node.insert(0, _cast(image.name, _half(image.name), TensorProto.FLOAT16))
    graph.node.append(_cast(_half(logits.name), logits.name, TensorProto.FLOAT))
    content: bytes = model.SerializeToString()
    return content


def _half(name: str) -> str:
    return f"{name}.half"


def _cast(source: str, output: str, to: int) -> NodeProto:
    node: NodeProto = onnx.helper.make_node("Cast", [source], [output], name=output, to=to)
    return node


Range = tuple[float, float]
"""Smallest and largest value of a feature map."""

_WEIGHTED = frozenset({"Conv", "Gemm"})
_COPYING = frozenset({"Resize", "MaxPool", "Gather", "Slice", "Flatten"})
"""Operators that only move values: their output has the range of their input."""
GATE = ".hard_sigmoid"
"""Suffix of the hard sigmoid that is split off a hard swish."""
_MAX_BIAS = 2.0**30
_MIN_SCALE = 1e-12


def add_map_outputs(onnx_file: bytes) -> bytes:
    """The file with every feature map as an additional output.

    Args:
        onnx_file: a float32 file from `onnx_bytes`.
    """
    model = onnx.load_from_string(onnx_file)
    (logits,) = [output.name for output in model.graph.output]
    for node in model.graph.node:
        if node.output[0] != logits:
            model.graph.output.add(name=node.output[0])
    content: bytes = model.SerializeToString()
    return content


def quantize_file(onnx_file: bytes, ranges: Mapping[str, Range]) -> bytes:
    """The file in 8 bits. Its input and output stay float32.

    Args:
        onnx_file: a float32 file from `onnx_bytes`.
        ranges: name → range, for the input and every output of `add_map_outputs`.
    """
    source = onnx.load_from_string(onnx_file)
    gates = _split_hard_swish(source.graph)
    model = ModelProto()
    model.CopyFrom(source)
    model.graph.ClearField("node")
    model.graph.ClearField("initializer")
    _Quantizer(source.graph, model.graph, {**ranges, **dict.fromkeys(gates, (0.0, 1.0))}).write()
    content: bytes = model.SerializeToString()
    return content


def _split_hard_swish(graph: GraphProto) -> list[str]:
    """Replace each hard swish by x · hard_sigmoid(x), whose product has an integer kernel.

    Returns:
        The names of the hard sigmoids.
    """
    gates = []
    nodes = list(graph.node)
    graph.ClearField("node")
    for node in nodes:
        if node.op_type == "HardSwish":
            gate = f"{node.output[0]}{GATE}"
            gates.append(gate)
            graph.node.append(
                onnx.helper.make_node(
                    "HardSigmoid", node.input, [gate], name=gate, alpha=1 / 6, beta=0.5
                )
            )
            node = onnx.helper.make_node("Mul", [*node.input, gate], node.output, name=node.name)
        graph.node.append(node)
    return gates


class _Quantizer:
    """Writes the nodes of `source` into `target` with their quantization nodes."""

    def __init__(self, source: GraphProto, target: GraphProto, ranges: Mapping[str, Range]) -> None:
        self.source, self.target = source, target
        self.constants = {constant.name: constant for constant in source.initializer}
        self.readers: dict[str, list[NodeProto]] = {}
        for node in source.node:
            for name in node.input:
                self.readers.setdefault(name, []).append(node)
        self.ranges = _shared_by_concat(source, ranges)
        self.scales: dict[str, float] = {}

    def write(self) -> None:
        (logits,) = [output.name for output in self.source.output]
        self._round(self.source.input[0].name)
        for node in self.source.node:
            written = NodeProto()
            written.CopyFrom(node)
            del written.input[:]
            written.input.extend(self._inputs(node))
            self.target.node.append(written)
            output = node.output[0]
            if node.op_type in _COPYING:
                self.ranges[output] = self.ranges[node.input[0]]
            if output != logits and not self._is_before_relu(output):
                self._round(output)

    def _is_before_relu(self, name: str) -> bool:
        """Whether only a ReLU reads it. Then rounding after the ReLU is enough."""
        return [reader.op_type for reader in self.readers[name]] == ["Relu"]

    def _inputs(self, node: NodeProto) -> Iterator[str]:
        maps = [name for name in node.input if name and name not in self.constants]
        if node.op_type in _WEIGHTED:
            yield _rounded_name(maps[0])
            yield from self._weights(node)
            return
        for name in node.input:
            if name in self.constants:
                self.target.initializer.append(self.constants[name])
            unchanged = name not in maps or self._is_before_relu(name)
            yield name if unchanged else _rounded_name(name)

    def _weights(self, node: NodeProto) -> Iterator[str]:
        """Quantize weight (out_channels, …) and bias (out_channels,) per output channel."""
        read, weight, bias = node.input
        kernel = numpy_helper.to_array(self.constants[weight])
        shift = numpy_helper.to_array(self.constants[bias])
        channels = len(kernel)
        scale = np.abs(kernel.reshape(channels, -1)).max(axis=1).astype(np.float64) / 127
        # A large bias beside small weights would not fit into 32 bits.
        scale = np.maximum(scale, np.abs(shift) / (self.scales[read] * _MAX_BIAS))
        scale = np.where(scale > 0, np.maximum(scale, _MIN_SCALE), 1.0).astype(np.float32)
        columns = scale.reshape(-1, *[1] * (kernel.ndim - 1))
        yield self._dequantize(weight, np.rint(kernel / columns).astype(np.int8), scale)
        scale = scale * np.float32(self.scales[read])
        yield self._dequantize(bias, np.rint(shift / scale).astype(np.int32), scale)

    def _dequantize(self, name: str, values: NDArray[Any], scale: NDArray[np.float32]) -> str:
        inputs = [
            self._constant(f"{name}.quantized", values),
            self._constant(f"{name}.scale", scale),
            self._constant(f"{name}.zero", np.zeros(len(scale), values.dtype)),
        ]
        axis = onnx.helper.make_attribute("axis", 0)
        self._node("DequantizeLinear", inputs, _rounded_name(name)).attribute.append(axis)
        return _rounded_name(name)

    def _round(self, name: str) -> None:
        """Append the nodes that compute `_rounded_name(name)`."""
        low, high = self.ranges[name]
        low, high = min(low, 0.0), max(high, 0.0)
        scale = max((high - low) / 255, _MIN_SCALE)
        self.scales[name] = scale
        parameters = [
            self._constant(f"{name}.scale", np.array(scale, np.float32)),
            self._constant(f"{name}.zero", np.array(round(-low / scale), np.uint8)),
        ]
        self._node("QuantizeLinear", [name, *parameters], f"{name}.quantized")
        self._node("DequantizeLinear", [f"{name}.quantized", *parameters], _rounded_name(name))

    def _constant(self, name: str, values: NDArray[Any]) -> str:
        self.target.initializer.append(numpy_helper.from_array(values, name))
        return name

    def _node(self, kind: str, inputs: list[str], output: str) -> NodeProto:
        node: NodeProto = self.target.node.add()
        node.op_type, node.name = kind, output
        node.input.extend(inputs)
        node.output.append(output)
        return node


def _shared_by_concat(graph: GraphProto, ranges: Mapping[str, Range]) -> dict[str, Range]:
    """`ranges`, with one range for inputs and output of each concatenation, which then copies bytes
    without rescaling. In ONNX Runtime that saves 3–6 % of stock V2's time."""
    shared = dict(ranges)
    for node in graph.node:
        if node.op_type == "Concat":
            names = [*node.input, node.output[0]]
            low = min(shared[name][0] for name in names)
            high = max(shared[name][1] for name in names)
            shared |= dict.fromkeys(names, (low, high))
    return shared


def _rounded_name(name: str) -> str:
    return f"{name}.rounded"
