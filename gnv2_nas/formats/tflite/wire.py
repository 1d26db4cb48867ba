"""TFLite files from a small flatbuffer and large arrays, with one copy of each array.

A flatbuffer is built from end to start, and its offsets point forwards. So this module builds the
tables alone, with offsets past their end, and appends the arrays. The builder would copy every
weight three times. The format: https://github.com/google-ai-edge/LiteRT/blob/main/tflite/converter/schema/schema.fbs
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any

import flatbuffers
import msgspec
import numpy as np
import tflite
from numpy.typing import NDArray

FILE_IDENTIFIER = b"TFL3"
SCHEMA_VERSION = 3
ALIGNMENT = 16
"""Alignment of an array in bytes, as the schema requires."""

_LENGTH = np.dtype("<u4")
_CODES_IN_ONE_BYTE = 127
_TYPES = {
    np.dtype(np.float32): tflite.TensorType.FLOAT32,
    np.dtype(np.int32): tflite.TensorType.INT32,
}

Fields = tuple[tuple[str, Any], ...]
"""Field names of the schema's Python functions, for instance "StrideW", with values."""


class Tensor(msgspec.Struct, frozen=True):
    """A feature map, or a constant if it has `data`."""

    name: str
    shape: tuple[int, ...]
    data: NDArray[Any] | None = None
    """Little-endian float32 or int32."""


class Operator(msgspec.Struct, frozen=True):
    """One operator; inputs and output are tensor numbers."""

    kind: str
    """Name in the schema's `BuiltinOperator`, for instance "CONV_2D"."""
    version: int
    inputs: tuple[int, ...]
    output: int
    options: str = ""
    """Name of its options table; "" if it has none."""
    fields: Fields = ()


class _Arrays:
    """The aligned byte vectors after the tables."""

    def __init__(self) -> None:
        self.parts: list[Any] = []
        self.size = 0

    def add(self, content: Any) -> int:
        """Append a vector; return its offset from the end of the tables."""
        nbytes = memoryview(content).nbytes
        padding = -(self.size + _LENGTH.itemsize) % ALIGNMENT
        start = self.size + padding
        self.parts += [bytes(padding), _LENGTH.type(nbytes).tobytes(), content]
        self.size = start + _LENGTH.itemsize + nbytes
        return start


class _Tables:
    """A flatbuffer builder that writes equal vectors and tables once."""

    def __init__(self) -> None:
        self.builder = flatbuffers.Builder(1 << 17)
        # The arrays start where the tables end, so that position must be aligned.
        self.builder.minalign = ALIGNMENT
        self._written: dict[Any, int] = {}

    def table(self, kind: str, fields: Iterable[tuple[str, Any]]) -> int:
        start, add, end = _functions(kind)
        start(self.builder)
        for name, value in fields:
            add[name](self.builder, value)
        offset: int = end(self.builder)
        return offset

    def shared_table(self, kind: str, fields: Fields) -> int:
        key = (kind, fields)
        if key not in self._written:
            self._written[key] = self.table(kind, fields)
        return self._written[key]

    def string(self, text: str) -> int:
        offset: int = self.builder.CreateString(text)
        return offset

    def integers(self, values: tuple[int, ...]) -> int:
        """A vector of int32."""
        if values not in self._written:
            self._written[values] = self.builder.CreateNumpyVector(np.array(values, np.int32))
        return self._written[values]

    def offsets(self, offsets: Sequence[int]) -> int:
        """A vector of tables or strings."""
        self.builder.StartVector(4, len(offsets), 4)
        for offset in reversed(offsets):
            self.builder.PrependUOffsetTRelative(offset)
        vector: int = self.builder.EndVector()
        return vector


@cache
def _functions(kind: str) -> tuple[Any, dict[str, Any], Any]:
    """The schema's functions that start a table, add each field and end it."""
    prefix = f"{kind}Add"
    add = {
        name.removeprefix(prefix): function
        for name, function in vars(tflite).items()
        if name.startswith(prefix)
    }
    return getattr(tflite, f"{kind}Start"), add, getattr(tflite, f"{kind}End")


def serialize_tflite(
    tensors: Sequence[Tensor],
    operators: Sequence[Operator],
    inputs: Mapping[str, int],
    outputs: Mapping[str, int],
    metadata: Mapping[str, bytes],
) -> bytes:
    """The bytes of a TFLite file with one subgraph.

    Args:
        tensors: all tensors; their index is their number.
        operators: in execution order.
        inputs, outputs: name in the signature → tensor number.
        metadata: name → content.
    """
    write, arrays = _Tables(), _Arrays()
    contents = [tensor.data for tensor in tensors if tensor.data is not None]
    contents += [np.frombuffer(content, np.uint8) for content in metadata.values()]
    # Buffer 0 is empty and shared by all feature maps. A negative offset counts from the end of
    # the tables.
    buffers = [write.table("Buffer", ())]
    buffers += [write.table("Buffer", [("Data", -arrays.add(array))]) for array in contents]
    codes = sorted({(operator.kind, operator.version) for operator in operators})
    subgraph = _subgraph(write, tensors, operators, codes, inputs, outputs)
    model = [
        ("Version", SCHEMA_VERSION),
        ("OperatorCodes", write.offsets([_operator_code(write, *code) for code in codes])),
        ("Subgraphs", write.offsets([subgraph])),
        ("Description", write.string("gnv2-nas")),
        ("Buffers", write.offsets(buffers)),
        ("Metadata", _metadata(write, metadata, len(buffers) - len(metadata))),
        ("SignatureDefs", write.offsets([_signature(write, inputs, outputs)])),
    ]
    write.builder.Finish(write.table("Model", model), file_identifier=FILE_IDENTIFIER)
    return b"".join([write.builder.Output(), *arrays.parts])


def _operator_code(write: _Tables, kind: str, version: int) -> int:
    code: int = getattr(tflite.BuiltinOperator, kind)
    fields = [
        ("DeprecatedBuiltinCode", min(code, _CODES_IN_ONE_BYTE)),
        ("Version", version),
        ("BuiltinCode", code),
    ]
    return write.table("OperatorCode", fields)


def _subgraph(
    write: _Tables,
    tensors: Sequence[Tensor],
    operators: Sequence[Operator],
    codes: Sequence[tuple[str, int]],
    inputs: Mapping[str, int],
    outputs: Mapping[str, int],
) -> int:
    buffer, tensor_tables = 0, []
    for tensor in tensors:
        buffer += tensor.data is not None
        number = buffer if tensor.data is not None else 0
        tensor_tables.append(_tensor(write, tensor, number))
    numbers = {code: number for number, code in enumerate(codes)}
    operator_tables = [
        _operator(write, operator, numbers[operator.kind, operator.version])
        for operator in operators
    ]
    fields = [
        ("Tensors", write.offsets(tensor_tables)),
        ("Inputs", write.integers(tuple(inputs.values()))),
        ("Outputs", write.integers(tuple(outputs.values()))),
        ("Operators", write.offsets(operator_tables)),
        ("Name", write.string("main")),
    ]
    return write.table("SubGraph", fields)


def _tensor(write: _Tables, tensor: Tensor, buffer: int) -> int:
    kind = tflite.TensorType.FLOAT32 if tensor.data is None else _TYPES[tensor.data.dtype]
    shape, name = write.integers(tensor.shape), write.string(tensor.name)
    fields = [("Shape", shape), ("Type", kind), ("Buffer", buffer), ("Name", name)]
    return write.table("Tensor", fields)


def _operator(write: _Tables, operator: Operator, code: int) -> int:
    fields = [
        ("OpcodeIndex", code),
        ("Inputs", write.integers(operator.inputs)),
        ("Outputs", write.integers((operator.output,))),
    ]
    if operator.options:
        kind: int = getattr(tflite.BuiltinOptions, operator.options)
        fields += [
            ("BuiltinOptionsType", kind),
            ("BuiltinOptions", write.shared_table(operator.options, operator.fields)),
        ]
    return write.table("Operator", fields)


def _metadata(write: _Tables, metadata: Mapping[str, bytes], first_buffer: int) -> int:
    tables = []
    for number, name in enumerate(metadata, start=first_buffer):
        fields = [("Name", write.string(name)), ("Buffer", number)]
        tables.append(write.table("Metadata", fields))
    return write.offsets(tables)


def _signature(write: _Tables, inputs: Mapping[str, int], outputs: Mapping[str, int]) -> int:
    maps = [
        write.offsets(
            [
                write.table("TensorMap", [("Name", write.string(name)), ("TensorIndex", number)])
                for name, number in side.items()
            ]
        )
        for side in (inputs, outputs)
    ]
    key = write.string("serving_default")
    return write.table(
        "SignatureDef", [("Inputs", maps[0]), ("Outputs", maps[1]), ("SignatureKey", key)]
    )
