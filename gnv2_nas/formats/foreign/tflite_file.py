"""TFLite files: their input and their counts."""

from __future__ import annotations

import math
from typing import Any

import msgspec
import numpy as np
import tflite

from gnv2_nas.errors import InputError
from gnv2_nas.formats.foreign.network import FileCounts, Input, fix_input, format_shape

Shape = tuple[int, ...]

_MARK = b"TFL3"
_MAX_ITEMS = 200_000
"""Of tensors and of operators; a damaged file may claim any number."""
_OPERATORS = {
    number: name for name, number in vars(tflite.BuiltinOperator).items() if name.isupper()
}
_TYPES = {
    number: name.lower() for name, number in vars(tflite.TensorType).items() if name.isupper()
}
_BITS = {"float16": 16, "float32": 32, "int4": 4, "int8": 8, "uint8": 8, "int32": 32, "int64": 64}
_BIAS_AT = {
    "CONV_2D": 2, "CONV_3D": 2, "DEPTHWISE_CONV_2D": 2, "FULLY_CONNECTED": 2, "TRANSPOSE_CONV": 3,
}  # fmt: skip
"""Operator → the input that int32 weights are for."""
_UNCOUNTED = (
    "BIDIRECTIONAL_SEQUENCE_LSTM", "BIDIRECTIONAL_SEQUENCE_RNN", "CALL", "CONV_3D_TRANSPOSE",
    "CUSTOM", "DELEGATE", "IF", "LSTM", "RNN", "STABLEHLO_CONVOLUTION", "STABLEHLO_DOT_GENERAL",
    "SVDF", "UNIDIRECTIONAL_SEQUENCE_LSTM", "UNIDIRECTIONAL_SEQUENCE_RNN",
    "WHILE",
)  # fmt: skip


class _Tensor(msgspec.Struct, frozen=True):
    shape: Shape
    free: tuple[int | None, ...]
    """Its shape with None for free sizes."""
    dtype: str
    constant: bool


class _Operator(msgspec.Struct, frozen=True):
    kind: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    adjoint: bool
    """Whether a product of matrices reads its first one transposed."""


def read_tflite(content: bytes) -> tuple[Input, FileCounts]:
    """Return the input and the counts of a TFLite file.

    Raises:
        InputError: see `read_foreign`.
    """
    if content[4:8] != _MARK:
        raise InputError("it is damaged, or no TFLite file")
    try:
        model = tflite.Model.GetRootAs(content)
        graph = model.Subgraphs(0)
        tensors = _list_tensors(model, graph)
        operators = _list_operators(model, graph)
        inputs = _numbers(graph.InputsAsNumpy())
        images = [tensors[number] for number in inputs]
        sizes = _count(tensors, operators)
    except InputError:
        raise
    except Exception:  # the reader follows any offset
        raise InputError("it is damaged") from None
    if len(images) != 1:
        raise InputError(
            f"it has {len(images)} inputs; a network with one input, an image, can be timed"
        )
    (image,) = images
    if None in image.free[1:]:
        written = format_shape(image.free)
        raise InputError(f"its input has free sizes, [{written}]: convert it with a fixed one")
    # With a free batch, the shape is that of a batch of 1.
    return fix_input(image.shape, image.dtype), sizes


def _list_tensors(model: Any, graph: Any) -> list[_Tensor]:
    found = []
    filled = [
        model.Buffers(number).DataLength() > 0 or model.Buffers(number).Size() > 1
        for number in range(_limited(model.BuffersLength()))
    ]
    for number in range(_limited(graph.TensorsLength())):
        tensor = graph.Tensors(number)
        shape = _numbers(tensor.ShapeAsNumpy())
        signature = _numbers(tensor.ShapeSignatureAsNumpy()) or shape
        free = tuple(None if size < 0 else size for size in signature)
        dtype = _TYPES.get(tensor.Type(), f"number {tensor.Type()}")
        found.append(_Tensor(shape, free, dtype, filled[tensor.Buffer()]))
    return found


def _list_operators(model: Any, graph: Any) -> list[_Operator]:
    kinds = []
    for number in range(_limited(model.OperatorCodesLength())):
        code = model.OperatorCodes(number)
        builtin = max(code.BuiltinCode(), code.DeprecatedBuiltinCode())
        kind = _OPERATORS.get(builtin, f"number {builtin}")
        custom = (code.CustomCode() or b"").decode(errors="replace")[:40]
        kinds.append(f"{kind} {custom!r}" if custom else kind)
    found = []
    for number in range(_limited(graph.OperatorsLength())):
        operator = graph.Operators(number)
        kind = kinds[operator.OpcodeIndex()]
        adjoint = False
        if kind == "BATCH_MATMUL" and (options := operator.BuiltinOptions()) is not None:
            table = tflite.BatchMatMulOptions()
            table.Init(options.Bytes, options.Pos)
            adjoint = bool(table.AdjX())
        inputs = _numbers(operator.InputsAsNumpy())
        found.append(_Operator(kind, inputs, _numbers(operator.OutputsAsNumpy()), adjoint))
    return found


def _limited(number: int) -> int:
    if number > _MAX_ITEMS:
        raise InputError("it is damaged, or has more parts than a network has")
    return number


def _numbers(found: Any) -> tuple[int, ...]:
    """Return a vector of integers; () if the file has none."""
    return tuple(np.asarray(found).tolist()) if isinstance(found, np.ndarray) else ()


def _count(tensors: list[_Tensor], operators: list[_Operator]) -> FileCounts:
    macs, why, weights = 0, "", dict[int, _Tensor]()
    for operator in operators:
        for at, number in enumerate(operator.inputs):
            # An optional input that is left out has the number -1.
            if number >= 0 and _is_weight(tensors[number], at, operator.kind):
                weights[number] = tensors[number]
        if operator.kind.partition(" ")[0] in _UNCOUNTED:
            why = why or f"it has the operator {operator.kind}"
        else:
            macs += _operator_macs(operator, tensors)
    elements = sum(math.prod(each.shape) for each in weights.values())
    bits = sum(math.prod(each.shape) * _BITS[each.dtype] for each in weights.values())
    return FileCounts(None if why else macs, elements, -(-bits // 8), why)


def _is_weight(tensor: _Tensor, at: int, kind: str) -> bool:
    if not tensor.constant or not tensor.shape or tensor.dtype not in _BITS:
        return False
    # Other integers of so many bits are sizes and axes.
    return tensor.dtype not in ("int32", "int64") or _BIAS_AT.get(kind) == at


def _operator_macs(operator: _Operator, tensors: list[_Tensor]) -> int:
    def shape(at: int) -> Shape:
        return tensors[operator.inputs[at]].shape

    output = math.prod(tensors[operator.outputs[0]].shape) if operator.outputs else 0
    match operator.kind:
        case "CONV_2D":
            return output * math.prod(shape(1)[1:])
        case "DEPTHWISE_CONV_2D":
            return output * math.prod(shape(1)[1:3])
        case "CONV_3D":
            return output * math.prod(shape(1)[:4])
        case "TRANSPOSE_CONV":
            return math.prod(shape(2)) * math.prod(shape(1)[:3])
        case "FULLY_CONNECTED":
            return output * shape(1)[-1]
        case "BATCH_MATMUL":
            return output * shape(0)[-2 if operator.adjoint else -1]
    return 0
