"""Flatbuffer tables read slot by slot, for schemas that come without Python classes."""

from __future__ import annotations

from flatbuffers import number_types
from flatbuffers.table import Table

_FIRST_SLOT, _SLOT = 4, 2
_REFERENCE = 4


class FlatReader:
    """One table; its fields are named by their number in the schema."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def integer(self, slot: int, bits: int = 32) -> int:
        """An unsigned integer of so many bits; 0 where it is left out."""
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
    """The root of the flatbuffer that begins at `start`."""
    return FlatReader(Table(content, start + int.from_bytes(content[start : start + 4], "little")))
