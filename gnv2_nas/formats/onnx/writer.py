"""`onnx_bytes`: Graph → ONNX, one table op kind → nodes.

What an exporter leaves in and a deployable graph does not need is never written: batch norm is
folded, hard sigmoid is one node, no slice that keeps everything.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from typing import Any

import numpy as np
import onnx
from onnx import AttributeProto, ModelProto, NodeProto, TensorProto

from gnv2_nas.arch import Architecture
from gnv2_nas.checkpoints.contents import ARCHITECTURE_KEY
from gnv2_nas.formats.nearest_resize import floors_alike, nearest_sources
from gnv2_nas.formats.onnx.wire import Constant, serialize_onnx
from gnv2_nas.graph.op import Graph, Op
from gnv2_nas.graph.passes.pipeline import prepare_graph
from gnv2_nas.graph.weights import Array, Weights

OPSET = 17
IR_VERSION = 8
INPUT, OUTPUT = "input", "logits"
CHANNEL_MULTIPLE = 16
"""Block of ONNX Runtime's layout on AVX-512; blocks of 8 divide it."""
FUSE_UP_TO = 64
"""Channels up to which a concatenation costs ONNX Runtime more than computing both parts."""


class _Writer:
    """Collects nodes and constants; knows the name of every op's output tensor."""

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
    """`onnx.helper.make_attribute` for the five types used here, at a tenth of its cost."""
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
    """torch's `interpolate`: nearest is floor(i · in/out), bilinear has half-pixel centres."""
    _, small_h, small_w = writer.shape_of(op.inputs[0])
    channels, height, width = op.shape
    nearest = op.mode == "nearest"
    if nearest and not (floors_alike(small_h, height) and floors_alike(small_w, width)):
        _gather(writer, op, output)
        return
    if height % small_h == 0 and width % small_w == 0:
        # Whole factors as scales: the form that runtimes have fast kernels for.
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
    """Nearest as rows and columns picked by number: slower than a resize, and always torch's."""
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
    channel_multiple: int = CHANNEL_MULTIPLE,
    fuse_up_to: int = FUSE_UP_TO,
    split_depthwise: bool = True,
    sink_concats: bool = False,
    spell_out: Collection[str] = (),
) -> bytes:
    """An ONNX file of `arch`: float32, batch 1, input "input", output "logits", batch norm folded.

    Its metadata holds the architecture's JSON.

    Args:
        arch: the network.
        model: the torch module whose weights go in (`build_model(arch)`, trained or not); without
            one, weights made for timing.
        channel_multiple, fuse_up_to, split_depthwise, sink_concats: which passes rewrite the
            graph, see `prepare_graph`; the outputs stay the same.
        spell_out: op kinds written as several simple nodes, for a runtime that fuses those with
            their neighbours but not the one node; only "hard_sigmoid" has such a form.

    Raises:
        CheckpointError: the module's weights are not those of `arch`.
    """
    graph, weights = prepare_graph(
        arch, model, fuse_up_to=fuse_up_to, split=split_depthwise,
        channel_multiple=channel_multiple, sink=sink_concats,
    )  # fmt: skip
    nodes = _NODES | {kind: _SPELLED_OUT[kind] for kind in spell_out}
    writer = _Writer(graph, weights)
    side = arch.resolution
    _describe(writer.model.graph.input.add(), INPUT, (1, 3, side, side))
    for number, op in enumerate(graph.ops[1:], start=1):
        nodes[op.kind](writer, op, writer.tensors[number])
    writer.model.graph.node[-1].name = graph.output.name
    _describe(writer.model.graph.output.add(), OUTPUT, (1, arch.num_classes))
    writer.model.metadata_props.add(key=ARCHITECTURE_KEY, value=arch.to_json())
    return serialize_onnx(writer.model, writer.constants)
