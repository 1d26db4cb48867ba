"""`onnx_bytes`: Architecture → ONNX, with one table from op kind to nodes."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
import onnx
from onnx import AttributeProto, ModelProto, NodeProto, TensorProto

from gnv2_nas.arch import Architecture
from gnv2_nas.checkpoints.contents import ARCHITECTURE_KEY
from gnv2_nas.formats import INPUT, OUTPUT, divides_like_torch, nearest_sources
from gnv2_nas.formats.onnx.wire import Constant, serialize_onnx
from gnv2_nas.graph.lower import lower
from gnv2_nas.graph.op import Graph, Op
from gnv2_nas.graph.passes.form import FileForm
from gnv2_nas.graph.passes.pipeline import rewrite_graph
from gnv2_nas.graph.weights import Array, Weights, weights_for

OPSET = 17
IR_VERSION = 8
FORM = FileForm(channel_multiple=16, fuse_up_to=64, split_depthwise=True, sink_concats=False)
"""The form that ONNX Runtime runs fastest. Its memory format has blocks of 16 channels on AVX-512;
blocks of 8 (AVX2) divide them. Concatenating larger Ghost modules costs less than fusing them."""


class _Writer:
    """The model under construction, and the name of every op's output tensor."""

    def __init__(self, graph: Graph, weights: Weights) -> None:
        self.model = ModelProto(ir_version=IR_VERSION, producer_name="gnv2-nas")
        self.model.opset_import.add(domain="", version=OPSET)
        self.model.graph.name = "gnv2-nas"
        self.constants: list[Constant] = []
        self.ops = graph.ops
        self.weights = weights
        self.tensors = [op.name for op in graph.ops]
        self.tensors[0], self.tensors[-1] = INPUT, OUTPUT

    def node(self, kind: str, inputs: list[str], output: str, **attributes: Any) -> None:
        node: NodeProto = self.model.graph.node.add()
        node.op_type = kind
        node.name = output
        node.input.extend(inputs)
        node.output.append(output)
        for name, value in attributes.items():
            _set_attribute(node.attribute.add(), name, value)

    def constant(self, name: str, array: np.ndarray[Any, Any]) -> str:
        self.constants.append((name, array))
        return name

    def inputs(self, op: Op) -> list[str]:
        return [self.tensors[source] for source in op.inputs]

    def shape_of(self, source: int) -> tuple[int, int, int]:
        return self.ops[source].shape


def _set_attribute(attribute: AttributeProto, name: str, value: Any) -> None:
    """`onnx.helper.make_attribute` for the four types in use, ten times as fast."""
    attribute.name = name
    if isinstance(value, int):
        attribute.type, attribute.i = AttributeProto.INT, value
    elif isinstance(value, float):
        attribute.type, attribute.f = AttributeProto.FLOAT, value
    elif isinstance(value, str):
        attribute.type, attribute.s = AttributeProto.STRING, value.encode()
    else:
        attribute.type = AttributeProto.INTS
        attribute.ints.extend(value)


def _conv(writer: _Writer, op: Op, output: str) -> None:
    kernel, bias = writer.weights.fold(op)
    height, width = op.kernel
    padding = (height // 2, width // 2)
    inputs = [*writer.inputs(op), *_constants(writer, op, kernel, bias)]
    writer.node(
        "Conv", inputs, output, kernel_shape=op.kernel, strides=(op.stride, op.stride),
        pads=padding + padding, group=op.groups,
    )  # fmt: skip


def _linear(writer: _Writer, op: Op, output: str) -> None:
    flat = f"{op.name}.flatten"
    writer.node("Flatten", writer.inputs(op), flat, axis=1)
    kernel, bias = writer.weights.fold(op)
    writer.node("Gemm", [flat, *_constants(writer, op, kernel, bias)], output, transB=1)


def _constants(writer: _Writer, op: Op, kernel: Array, bias: Array) -> Iterator[str]:
    yield writer.constant(f"{op.weight}.weight", kernel)
    yield writer.constant(f"{op.weight}.bias", bias)


def _pool(kind: str) -> Callable[[_Writer, Op, str], None]:
    def write(writer: _Writer, op: Op, output: str) -> None:
        strides = (op.stride, op.stride)
        writer.node(kind, writer.inputs(op), output, kernel_shape=op.kernel, strides=strides)

    return write


def _plain(kind: str, **attributes: Any) -> Callable[[_Writer, Op, str], None]:
    def write(writer: _Writer, op: Op, output: str) -> None:
        writer.node(kind, writer.inputs(op), output, **attributes)

    return write


def _resize(writer: _Writer, op: Op, output: str) -> None:
    """torch's `interpolate`: nearest reads floor(i · in/out), bilinear uses half-pixel centres."""
    _, small_h, small_w = writer.shape_of(op.inputs[0])
    channels, height, width = op.shape
    nearest = op.mode == "nearest"
    if nearest and not (divides_like_torch(small_h, height) and divides_like_torch(small_w, width)):
        _gather(writer, op, output)
        return
    if height % small_h == 0 and width % small_w == 0:
        # Runtimes have fast kernels for whole factors given as scales.
        scales = np.array([1, 1, height / small_h, width / small_w], np.float32)
        target = ["", writer.constant(f"{op.name}.scales", scales)]
    else:
        sizes = np.array([1, channels, height, width], np.int64)
        target = ["", "", writer.constant(f"{op.name}.sizes", sizes)]
    attributes = (
        {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
        if nearest
        else {"coordinate_transformation_mode": "half_pixel"}
    )
    mode = "nearest" if nearest else "linear"
    writer.node("Resize", [*writer.inputs(op), *target], output, mode=mode, **attributes)


def _gather(writer: _Writer, op: Op, output: str) -> None:
    """Nearest resize by indexing rows and columns: slower, but it always reads torch's pixels."""
    _, small_h, small_w = writer.shape_of(op.inputs[0])
    _, height, width = op.shape
    rows = writer.constant(f"{op.name}.rows", nearest_sources(small_h, height))
    columns = writer.constant(f"{op.name}.columns", nearest_sources(small_w, width))
    picked = f"{op.name}.columns_picked"
    writer.node("Gather", [*writer.inputs(op), columns], picked, axis=3)
    writer.node("Gather", [picked, rows], output, axis=2)


def _slice(writer: _Writer, op: Op, output: str) -> None:
    bounds = [
        writer.constant(f"{op.name}.{name}", np.array([value], np.int64))
        for name, value in (("starts", 0), ("ends", op.shape[0]), ("axes", 1))
    ]
    writer.node("Slice", [*writer.inputs(op), *bounds], output)


_NODES: dict[str, Callable[[_Writer, Op, str], None]] = {
    "conv": _conv,
    "linear": _linear,
    "relu": _plain("Relu"),
    "hard_swish": _plain("HardSwish"),
    "sigmoid": _plain("Sigmoid"),
    "hard_sigmoid": _plain("HardSigmoid", alpha=1 / 6, beta=0.5),
    "avg_pool": _pool("AveragePool"),
    "max_pool": _pool("MaxPool"),
    "global_pool": _plain("GlobalAveragePool"),
    "resize": _resize,
    "concat": _plain("Concat", axis=1),
    "slice": _slice,
    "add": _plain("Add"),
    "mul": _plain("Mul"),
}


def _hard_sigmoid(writer: _Writer, op: Op, output: str) -> None:
    shifted, clipped = f"{op.name}.shifted", f"{op.name}.clipped"
    three, zero, six, sixth = (
        writer.constant(f"{op.name}.{name}", np.array(value, np.float32))
        for name, value in (("three", 3), ("zero", 0), ("six", 6), ("sixth", 1 / 6))
    )
    writer.node("Add", [*writer.inputs(op), three], shifted)
    writer.node("Clip", [shifted, zero, six], clipped)
    writer.node("Mul", [clipped, sixth], output)


_SPELLED_OUT: dict[str, Callable[[_Writer, Op, str], None]] = {"hard_sigmoid": _hard_sigmoid}


def _describe(value: onnx.ValueInfoProto, name: str, shape: tuple[int, ...]) -> None:
    value.name = name
    tensor = value.type.tensor_type
    tensor.elem_type = TensorProto.FLOAT
    for size in shape:
        tensor.shape.dim.add().dim_value = size


def onnx_bytes(
    arch: Architecture,
    model: Any = None,
    *,
    form: FileForm = FileForm(),  # noqa: B008  frozen
    spell_out: Collection[str] = (),
) -> bytes:
    """An ONNX file of `arch`: float32, batch 1, input "input", output "logits", batch norm folded.

    The metadata contains the architecture as JSON.

    Args:
        arch: the network.
        model: a torch module with the weights (`build_model(arch)`, trained or not). Without it,
            the file has weights made for timing.
        form: which passes rewrite the graph (default: as ONNX Runtime runs it fastest). The outputs
            stay the same.
        spell_out: op kinds to write as several simple nodes, for runtimes that fuse those with
            their neighbours; only "hard_sigmoid" has such a form.

    Raises:
        CheckpointError: the module's weights do not fit `arch`.
    """
    graph, weights = rewrite_graph(lower(arch), weights_for(arch, model), form.over(FORM))
    return write_graph(graph, weights, {ARCHITECTURE_KEY: arch.to_json()}, spell_out)


def write_graph(
    graph: Graph,
    weights: Weights,
    metadata: Mapping[str, str] = MappingProxyType({}),
    spell_out: Collection[str] = (),
) -> bytes:
    """An ONNX file of exactly these ops."""
    nodes = dict(_NODES)
    nodes |= {kind: _SPELLED_OUT[kind] for kind in spell_out}
    writer = _Writer(graph, weights)
    _describe(writer.model.graph.input.add(), INPUT, (1, *graph.ops[0].shape))
    for number, op in enumerate(graph.ops[1:], start=1):
        nodes[op.kind](writer, op, writer.tensors[number])
    writer.model.graph.node[-1].name = graph.output.name
    shape = graph.output.shape[:1] if graph.output.kind == "linear" else graph.output.shape
    _describe(writer.model.graph.output.add(), OUTPUT, (1, *shape))
    for key, value in metadata.items():
        writer.model.metadata_props.add(key=key, value=value)
    return serialize_onnx(writer.model, writer.constants)
