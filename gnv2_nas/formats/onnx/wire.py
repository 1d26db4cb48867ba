"""ONNX files from a small protobuf message and large arrays, with one copy of each array.

protobuf's serializer copies every weight several times. This module serializes the message without
weights and appends the weights in protobuf's wire format: field number and type in one byte, then
length, then content. Readers accept fields in any order.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import GraphProto, ModelProto, TensorProto

Constant = tuple[str, NDArray[Any]]
"""Name and values; float32 or int64."""

_LENGTH_DELIMITED = 2
_GRAPH = bytes([ModelProto.GRAPH_FIELD_NUMBER << 3 | _LENGTH_DELIMITED])
_INITIALIZER = bytes([GraphProto.INITIALIZER_FIELD_NUMBER << 3 | _LENGTH_DELIMITED])
_RAW_DATA = bytes([TensorProto.RAW_DATA_FIELD_NUMBER << 3 | _LENGTH_DELIMITED])
_TYPES = {
    np.dtype(np.float32): TensorProto.FLOAT,
    np.dtype(np.int64): TensorProto.INT64,
}


def serialize_onnx(model: ModelProto, constants: Iterable[Constant]) -> bytes:
    """The bytes of `model` with `constants` as the initializers of its graph.

    Args:
        model: complete except for the initializers; it is not modified.
        constants: little-endian arrays.
    """
    shell = ModelProto()
    shell.CopyFrom(model)
    shell.ClearField("graph")
    graph: list[Any] = [model.graph.SerializeToString()]
    for name, array in constants:
        graph += _initializer(name, np.ascontiguousarray(array))
    size = sum(memoryview(part).nbytes for part in graph)
    return b"".join([shell.SerializeToString(), _GRAPH, _varint(size), *graph])


def append_metadata(content: bytes, **entries: str) -> bytes:
    """`content` with more metadata. A reader merges two messages in a row."""
    more = ModelProto()
    for key, value in entries.items():
        more.metadata_props.add(key=key, value=value)
    added: bytes = more.SerializeToString()
    return content + added


def _initializer(name: str, array: NDArray[Any]) -> list[Any]:
    tensor = TensorProto(name=name, dims=array.shape, data_type=_TYPES[array.dtype])
    header = tensor.SerializeToString() + _RAW_DATA + _varint(array.nbytes)
    return [_INITIALIZER, _varint(len(header) + array.nbytes), header, array]


def _varint(value: int) -> bytes:
    """Seven bits per byte, lowest first; the high bit marks that more bytes follow."""
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)
