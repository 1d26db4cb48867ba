"""Which part of the plane a figure shows when it opens."""

from __future__ import annotations

from gnv2_nas.report.points import Groups

Extent = tuple[float, float]

_MARGIN = 0.06
_ROOM_FOR_BUDGETS = 0.35
"""How far beyond the networks a budget may lie, in widths of the plot, to be drawn."""


def extents(groups: Groups) -> tuple[Extent, Extent]:
    """Of x and y, around what keeps the budgets and the stock networks; around all when nothing
    does."""
    shown = [groups.front, groups.dominated, groups.stock]
    if not (groups.front.rows or groups.dominated.rows):
        shown.append(groups.infeasible)
    return (
        _padded([value for points in shown for value in points.x]),
        _padded([value for points in shown for value in points.y]),
    )


def _padded(values: list[float]) -> Extent:
    if not values:
        return 0.0, 1.0
    low, high = min(values), max(values)
    room = _MARGIN * (high - low) or abs(high) * _MARGIN or 1.0
    return low - room, high + room


def is_near(extent: Extent, value: float) -> bool:
    """Whether `value` can be shown without squeezing the rest."""
    room = _ROOM_FOR_BUDGETS * (extent[1] - extent[0])
    return extent[0] - room <= value <= extent[1] + room


def stretched(extent: Extent, value: float) -> Extent:
    """`extent`, and `value` with a margin."""
    room = _MARGIN * (extent[1] - extent[0])
    return min(extent[0], value - room), max(extent[1], value + room)
