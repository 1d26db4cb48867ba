"""Flatbuffer tables, read and written by field number, for schemas without Python classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import flatbuffers
import msgspec
from flatbuffers import number_types
from flatbuffers.table import Table

_FIRST_SLOT, _SLOT = 4, 2
_REFERENCE = 4


class FlatReader:
    """One table; fields are identified by their number in the schema."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def integer(self, slot: int, bits: int = 32) -> int:
        """An unsigned integer of `bits` bits; 0 if it is missing."""
        place = self._place(slot)
        flags = getattr(number_types, f"Uint{bits}Flags")
        return int(self._table.Get(flags, place)) if place else 0

    def string(self, slot: int) -> str:
        place = self._place(slot)
        return self._table.String(place).decode() if place else ""

    def table(self, slot: int) -> FlatReader | None:
        place = self._place(slot)
        return FlatReader(self._at(place)) if place else None

    def tables(self, slot: int) -> list[FlatReader]:
        offset = self._table.Offset(_FIRST_SLOT + _SLOT * slot)
        if not offset:
            return []
        start, length = self._table.Vector(offset), self._table.VectorLen(offset)
        return [FlatReader(self._at(start + _REFERENCE * number)) for number in range(length)]

    def _place(self, slot: int) -> int:
        offset: int = self._table.Offset(_FIRST_SLOT + _SLOT * slot)
        return offset and offset + self._table.Pos

    def _at(self, place: int) -> Table:
        return Table(self._table.Bytes, self._table.Indirect(place))


def root_table(content: bytes, start: int = 0) -> FlatReader:
    """The root table of the flatbuffer at `start`."""
    return FlatReader(Table(content, start + int.from_bytes(content[start : start + 4], "little")))


_Kind = Literal["Uint8", "Int16", "Uint32", "Int32", "Uint64", "Float32", "UOffsetTRelative"]


class Slot(msgspec.Struct, frozen=True):
    """A field: its value and its type in the schema."""

    kind: _Kind
    value: Any


class FlatTables:
    """A flatbuffer under construction. Methods return the offset of what they wrote."""

    def __init__(self) -> None:
        self.builder = flatbuffers.Builder(1 << 17)

    def table(self, *slots: Slot | None) -> int:
        """A table with its fields in the order of the schema; `None` and zero are omitted."""
        self.builder.StartObject(len(slots))
        for number, slot in enumerate(slots):
            if slot is not None:
                getattr(self.builder, f"Prepend{slot.kind}Slot")(number, slot.value, 0)
        offset: int = self.builder.EndObject()
        return offset

    def string(self, text: str) -> Slot:
        return reference(self.builder.CreateString(text))

    def vector(self, kind: _Kind, values: Sequence[int]) -> Slot:
        """A vector of numbers."""
        width = {"Uint8": 1, "Uint64": 8}.get(kind, 4)
        self.builder.StartVector(width, len(values), width)
        for value in reversed(values):
            getattr(self.builder, f"Prepend{kind}")(value)
        return reference(self.builder.EndVector())

    def tables(self, offsets: Sequence[int]) -> Slot:
        """A vector of tables."""
        self.builder.StartVector(4, len(offsets), 4)
        for offset in reversed(offsets):
            self.builder.PrependUOffsetTRelative(offset)
        return reference(self.builder.EndVector())

    def finish(self, root: int, identifier: bytes) -> bytes:
        """The complete flatbuffer."""
        self.builder.Finish(root, file_identifier=identifier)
        return bytes(self.builder.Output())


def reference(offset: int) -> Slot:
    """A field that refers to what was written at `offset`."""
    return Slot("UOffsetTRelative", offset)


def u32(value: int) -> Slot:
    return Slot("Uint32", value)
