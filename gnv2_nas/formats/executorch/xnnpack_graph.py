"""The data of ExecuTorch's XNNPACK delegate: values, nodes, constants.

The format is `backends/xnnpack/serialization/schema.fbs` of ExecuTorch (identifier XN01), after a
small header of offsets. Feature maps are (1, height, width, channels).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from gnv2_nas.formats.flatbuffers import FlatTables, Slot, reference, u32

IDENTIFIER = b"XN01"
ALIGNMENT = 16
"""Alignment of constants and of the tables in bytes."""
INFINITY = float("inf")

_NO_ID = (1 << 32) - 1
_TENSOR_VALUE = 1
_FLOAT32 = 1
_EXTERNAL_INPUT, _EXTERNAL_OUTPUT = 1, 2
_HEADER = 30
# Numbers in the schema's union of node kinds.
_NODES = {
    "add": 1, "fully_connected": 2, "sigmoid": 4, "transpose": 5, "clamp": 6, "conv": 7,
    "resize_bilinear": 9, "avg_pool": 11, "depthwise_conv": 13, "max_pool": 14, "multiply": 15,
    "global_avg_pool": 19, "reshape": 20, "hard_swish": 24, "concatenate2": 32,
    "concatenate3": 33, "concatenate4": 34, "slice": 35, "concatenate5": 38,
}  # fmt: skip


class _Value(msgspec.Struct, frozen=True):
    dims: tuple[int, ...]
    constant: int = 0
    external: int = _NO_ID
    flags: int = 0


class Node(msgspec.Struct, frozen=True):
    """One of XNNPACK's operators."""

    kind: str
    owner: str
    """Name of its op; "" if it belongs to none."""
    fields: tuple[int | tuple[int, ...], ...]
    limits: tuple[float, float] | None


class XnnpackGraph:
    """Values and nodes under construction; the index of a value is its id."""

    def __init__(self) -> None:
        self.owner = ""
        """Name of the op whose nodes are being appended."""
        self.values: list[_Value] = []
        self.nodes: list[Node] = []
        self.constants: list[NDArray[np.float32]] = []

    def input(self, dims: Sequence[int]) -> int:
        return self._value(_Value(tuple(dims), external=0, flags=_EXTERNAL_INPUT))

    def output(self, dims: Sequence[int]) -> int:
        return self._value(_Value(tuple(dims), external=1, flags=_EXTERNAL_OUTPUT))

    def value(self, dims: Sequence[int]) -> int:
        return self._value(_Value(tuple(dims)))

    def constant(self, array: NDArray[np.float32]) -> int:
        self.constants.append(np.ascontiguousarray(array, np.float32))
        return self._value(_Value(array.shape, constant=len(self.constants)))

    def dims(self, value: int) -> tuple[int, ...]:
        return self.values[value].dims

    def node(
        self,
        kind: str,
        *fields: int | Sequence[int],
        limits: tuple[float, float] | None = None,
    ) -> None:
        """Append a node: its fields in the order of the schema, and the limits of its output."""
        plain = tuple(f if isinstance(f, int) else tuple(f) for f in fields)
        self.nodes.append(Node(kind, self.owner, plain, limits))

    def _value(self, value: _Value) -> int:
        self.values.append(value)
        return len(self.values) - 1

    def parts(self) -> list[Any]:
        """The pieces of the file, in order."""
        places, end = [], 0
        for array in self.constants:
            places.append((end, array.nbytes))
            end += array.nbytes + -array.nbytes % ALIGNMENT
        tables = self._tables(places)
        start = _HEADER + -_HEADER % ALIGNMENT
        constants = start + len(tables) + -len(tables) % ALIGNMENT
        header = b"".join(
            [
                bytes(4), b"XH00", _HEADER.to_bytes(2, "little"),
                *(number.to_bytes(4, "little") for number in (start, len(tables), constants)),
                end.to_bytes(8, "little"),
            ]
        )  # fmt: skip
        return [*_align([header, tables]), *_align(self.constants)]

    def _tables(self, places: Iterable[tuple[int, int]]) -> bytes:
        write = FlatTables()
        version = write.string("0")
        nodes = write.tables([_node(write, node) for node in self.nodes])
        values = write.tables([_tensor(write, n, v) for n, v in enumerate(self.values)])
        constants = write.tables(
            [
                write.table(Slot("Uint64", start), Slot("Uint64", size))
                for start, size in [(0, 0), *places]
            ]
        )
        inputs, outputs = (
            write.vector("Uint32", [n for n, v in enumerate(self.values) if v.flags == flag])
            for flag in (_EXTERNAL_INPUT, _EXTERNAL_OUTPUT)
        )
        root = write.table(version, nodes, values, u32(2), inputs, outputs, None, None, constants)
        return write.finish(root, IDENTIFIER)


def _node(write: FlatTables, node: Node) -> int:
    limits = node.limits and write.table(*(Slot("Float32", limit) for limit in node.limits))
    fields = [
        u32(field) if isinstance(field, int) else write.vector("Uint32", field)
        for field in node.fields
    ]
    table = write.table(*fields)
    return write.table(
        Slot("Uint8", _NODES[node.kind]),
        reference(table),
        None,
        None if limits is None else reference(limits),
    )


def _tensor(write: FlatTables, number: int, value: _Value) -> int:
    dims = write.vector("Uint32", value.dims)
    tensor = write.table(
        Slot("Int16", _FLOAT32), u32(len(value.dims)), dims, u32(value.constant),
        u32(value.external), u32(value.flags), u32(number),
    )  # fmt: skip
    return write.table(Slot("Uint8", _TENSOR_VALUE), reference(tensor))


def _align(contents: Iterable[Any]) -> Iterable[Any]:
    for content in contents:
        yield content
        yield bytes(-memoryview(content).nbytes % ALIGNMENT)
