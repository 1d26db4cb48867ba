"""Multiply-adds and parameters of an ONNX graph."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping

from onnx import GraphProto, ModelProto, NodeProto, TensorProto, inliner, shape_inference

from gnv2_nas.errors import InputError
from gnv2_nas.formats.foreign.network import FileCounts

Shape = tuple[int, ...]

_OWN_DOMAINS = ("", "ai.onnx")
_WEIGHTS_AT = {"Conv": 1, "ConvInteger": 1, "QLinearConv": 3, "ConvTranspose": 1}
"""Convolution → which of its inputs the weights are."""
_PRODUCTS = ("Gemm", "MatMul", "MatMulInteger", "QLinearMatMul")
_UNCOUNTED = ("Attention", "DeformConv", "Einsum", "GRU", "LSTM", "RNN")
"""Other operators of ONNX that multiply matrices."""
_NO_WEIGHTS: Mapping[str, tuple[int, ...]] = {
    "BatchNormalization": (3, 4), "ConvInteger": (2, 3), "DequantizeLinear": (1, 2),
    "MatMulInteger": (2, 3), "QLinearConv": (1, 2, 4, 5, 6, 7), "QLinearMatMul": (1, 2, 4, 5, 6, 7),
    "QuantizeLinear": (1, 2), "Resize": (1, 2), "Upsample": (1,),
}  # fmt: skip
"""Operator → inputs that are statistics, scales of quantization, or sizes."""
_BIASES = {("DequantizeLinear", 0), ("QLinearConv", 8)}
"""Operator and input that int32 weights are for; other int32 constants are sizes."""
_BITS: Mapping[int, int] = {
    TensorProto.FLOAT: 32, TensorProto.FLOAT16: 16, TensorProto.BFLOAT16: 16,
    TensorProto.DOUBLE: 64, TensorProto.INT8: 8, TensorProto.UINT8: 8, TensorProto.INT4: 4,
    TensorProto.UINT4: 4, TensorProto.FLOAT8E4M3FN: 8, TensorProto.FLOAT8E5M2: 8,
    TensorProto.INT32: 32,
}  # fmt: skip
_SMALL = 1024
"""Elements of a constant that may be a shape, which shape inference reads."""


def count_onnx(model: ModelProto) -> FileCounts:
    """Count a model whose input has a fixed shape. The values of its weights are dropped.

    Raises:
        InputError: it is damaged.
    """
    constants = _list_constants(model.graph)
    _drop_values(model.graph)
    macs, why = _count_macs(model)
    elements = bits = 0
    for name, width in _find_weights(model.graph, constants).items():
        size = math.prod(constants[name][1])
        elements += size
        bits += size * width
    return FileCounts(macs, elements, -(-bits // 8), why)


def _list_constants(graph: GraphProto) -> dict[str, tuple[int, Shape]]:
    """Return name → type and shape of all constants."""
    found: dict[str, tuple[int, Shape]] = {}
    for each in graph.initializer:
        found[each.name] = (each.data_type, tuple(each.dims))
    for node in graph.node:
        if node.op_type == "Constant" and node.output:
            for attribute in node.attribute:
                if attribute.HasField("t"):
                    found[node.output[0]] = (attribute.t.data_type, tuple(attribute.t.dims))
        # torch's exporter gives equal weights one constant and several names.
        elif node.op_type == "Identity" and node.output and {*node.input} & found.keys():
            found[node.output[0]] = found[node.input[0]]
    if any(size < 0 for _, shape in found.values() for size in shape):
        raise InputError("it is damaged: a weight has a negative size")
    return found


def _find_weights(graph: GraphProto, constants: Mapping[str, tuple[int, Shape]]) -> dict[str, int]:
    """Return name → bits an element of the constants that the graph computes with."""
    found: dict[str, int] = {}
    for node in graph.node:
        if node.op_type == "Identity":
            continue
        for at, name in enumerate(node.input):
            if name not in constants or at in _NO_WEIGHTS.get(node.op_type, ()):
                continue
            kind, shape = constants[name]
            bits = _BITS.get(kind, 0)
            is_size = kind == TensorProto.INT32 and (node.op_type, at) not in _BIASES
            if shape and bits and not is_size:
                found[name] = bits
    return found


def _drop_values(graph: GraphProto) -> None:
    for each in graph.initializer:
        if math.prod(each.dims) > _SMALL:
            for field in ("raw_data", "float_data", "int32_data", "double_data"):
                each.ClearField(field)


def _count_macs(model: ModelProto) -> tuple[int | None, str]:
    """Return the multiply-adds, or None and why they cannot be counted."""
    try:
        if model.functions:
            model = inliner.inline_local_functions(model)
        graph = shape_inference.infer_shapes(model, data_prop=True).graph
    except Exception:
        return None, "the shapes of its feature maps cannot be inferred"
    shapes = _list_shapes(graph)
    total = 0
    for node in graph.node:
        if why := _explain_uncounted(node):
            return None, why
        macs = _node_macs(node, shapes) if _multiplies(node) else 0
        if macs is None:
            return None, f"the shape of {_label(node)} {node.name[:60]!r} is not known"
        total += macs
    return total, ""


def _list_shapes(graph: GraphProto) -> dict[str, Shape]:
    shapes = {name: shape for name, (_, shape) in _list_constants(graph).items()}
    for each in (*graph.input, *graph.value_info, *graph.output):
        sizes = each.type.tensor_type.shape.dim
        if all(size.HasField("dim_value") for size in sizes):
            shapes[each.name] = tuple(size.dim_value for size in sizes)
    return shapes


def _explain_uncounted(node: NodeProto) -> str:
    """Return why the multiply-adds of a node cannot be counted; "" if they can."""
    if node.domain not in _OWN_DOMAINS:
        return f"it has the operator {_label(node)} of {node.domain[:40]!r}"
    if node.op_type in _UNCOUNTED:
        return f"it has the operator {_label(node)}"
    if any(map(_multiplies, _nodes_within(node))):
        return f"operators within {_label(node)} run any number of times"
    return ""


def _label(node: NodeProto) -> str:
    return repr(node.op_type[:40])


def _multiplies(node: NodeProto) -> bool:
    return node.op_type in (*_WEIGHTS_AT, *_PRODUCTS, *_UNCOUNTED)


def _nodes_within(node: NodeProto) -> Iterator[NodeProto]:
    """Yield the nodes of the graphs in a node's attributes, at any depth."""
    for attribute in node.attribute:
        graphs: Iterable[GraphProto] = (attribute.g, *attribute.graphs)
        for graph in graphs:
            for each in graph.node:
                yield each
                yield from _nodes_within(each)


def _node_macs(node: NodeProto, shapes: Mapping[str, Shape]) -> int | None:
    if not node.input or not node.output:
        return None
    output, first = shapes.get(node.output[0]), shapes.get(node.input[0])
    if output is None or not first:
        return None
    if node.op_type in _PRODUCTS:
        transposed = any(each.name == "transA" and each.i for each in node.attribute)
        return math.prod(output) * first[0 if transposed else -1]
    at = _WEIGHTS_AT[node.op_type]
    weights = shapes.get(node.input[at]) if at < len(node.input) else None
    if weights is None:
        return None
    # Every element of the larger map meets the weights of one channel: a convolution gathers,
    # a transposed one scatters.
    return math.prod(first if node.op_type == "ConvTranspose" else output) * math.prod(weights[1:])
