"""An ONNX file at half precision: float16 weights and feature maps."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import NodeProto, TensorProto, numpy_helper


def half_precision(onnx_file: bytes) -> bytes:
    """The file in float16; its input and output stay float32.

    Args:
        onnx_file: float32, as `onnx_bytes` writes it, its values within ±65504.
    """
    model = onnx.load_from_string(onnx_file)
    graph = model.graph
    # A resize takes its scales in float32, whatever it resizes.
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
