"""Small files as other tools write them: ONNX by its helper, TFLite by Google's own schema."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, helper, numpy_helper, save

FLOAT, UINT8 = TensorProto.FLOAT, TensorProto.UINT8
KERNEL = np.random.default_rng(0).standard_normal((8, 3, 3, 3)).astype(np.float32)


def save_onnx(
    path: Path,
    nodes: Sequence[NodeProto],
    shape: Sequence[int | str] | None,
    weights: Mapping[str, NDArray[Any]],
    *,
    dtype: int = FLOAT,
    outputs: Sequence[str] = ("y",),
    inputs: Sequence[str] = ("x",),
    domains: Sequence[str] = (),
    **options: Any,
) -> Path:
    """Write a file whose graph reads `inputs`, all of one shape."""
    graph = helper.make_graph(
        nodes,
        "graph",
        [helper.make_tensor_value_info(name, dtype, shape) for name in inputs],
        [helper.make_tensor_value_info(name, FLOAT, None) for name in outputs],
        [numpy_helper.from_array(array, name) for name, array in weights.items()],
    )
    opsets = [helper.make_opsetid("", 17), *(helper.make_opsetid(each, 1) for each in domains)]
    save(helper.make_model(graph, opset_imports=opsets, ir_version=8), path, **options)
    return path


def save_conv(
    path: Path, shape: Sequence[int | str] | None = (1, 3, 16, 16), **options: Any
) -> Path:
    """Write a 3x3 convolution to 8 channels; a file with uint8 pixels has channels last."""
    nodes, source = [], "x"
    if options.get("dtype") == UINT8:
        nodes = [
            helper.make_node("Cast", ["x"], ["float"], to=FLOAT),
            helper.make_node("Transpose", ["float"], ["first"], perm=[0, 3, 1, 2]),
        ]
        source = "first"
    nodes.append(helper.make_node("Conv", [source, "w"], ["y"], pads=[1, 1, 1, 1]))
    return save_onnx(path, nodes, shape, {"w": KERNEL}, **options)


def save_tflite(path: Path, signature: Sequence[int] = (1, 16, 16, 3), custom: str = "") -> Path:
    """Write a quantized 3x3 convolution of uint8 pixels to 8 channels.

    Args:
        path: the file.
        signature: shape of the input; -1 is a free size, of which the file holds a 1.
        custom: an operator of that name in place of the convolution.
    """
    free = [max(size, 1) for size in signature]
    kernel = np.random.default_rng(0).integers(0, 255, (8, 3, 3, 3), np.uint8, endpoint=True)
    tensors = [
        _tensor("image", free, 0, 0.02),
        _tensor("kernel", kernel.shape, 1, 0.01),
        _tensor("bias", (8,), 2, 0.0002, schema.TensorType.INT32),
        _tensor("map", (*free[:3], 8), 0, 0.1),
    ]
    tensors[0].shapeSignature = list(signature)
    code, operator = schema.OperatorCodeT(), schema.OperatorT()
    kinds = schema.BuiltinOperator
    code.builtinCode = code.deprecatedBuiltinCode = kinds.CUSTOM if custom else kinds.CONV_2D
    code.customCode, code.version = custom or None, 3
    operator.inputs, operator.outputs = [0, 1, 2], [3]
    if not custom:
        operator.builtinOptionsType = schema.BuiltinOptions.Conv2DOptions
        operator.builtinOptions = schema.Conv2DOptionsT()
        operator.builtinOptions.strideH = operator.builtinOptions.strideW = 1
    graph, model = schema.SubGraphT(), schema.ModelT()
    graph.tensors, graph.operators, graph.inputs, graph.outputs = tensors, [operator], [0], [3]
    model.version, model.subgraphs, model.operatorCodes = 3, [graph], [code]
    model.buffers = [schema.BufferT() for _ in range(3)]
    model.buffers[1].data = kernel.ravel()
    model.buffers[2].data = np.zeros(8, np.int32).view(np.uint8)
    builder = flatbuffers.Builder()
    builder.Finish(model.Pack(builder), b"TFL3")
    path.write_bytes(builder.Output())
    return path


def _tensor(
    name: str, shape: Sequence[int], buffer: int, scale: float, kind: int = schema.TensorType.UINT8
) -> Any:
    tensor = schema.TensorT()
    tensor.name, tensor.shape, tensor.buffer, tensor.type = name, list(shape), buffer, kind
    tensor.quantization = schema.QuantizationParametersT()
    tensor.quantization.scale = [scale]
    tensor.quantization.zeroPoint = [0 if kind == schema.TensorType.INT32 else 128]
    return tensor
