"""Initial axis ranges of a figure, and positions of the names of stock networks."""

from __future__ import annotations

from gnv2_nas.report.figures.points import PointGroups

AxisRange = tuple[float, float]

_MARGIN = 0.06
_ROOM_FOR_BUDGETS = 0.35
"""Largest distance of a drawn budget from the networks, in widths of the plot."""


def find_axis_ranges(groups: PointGroups) -> tuple[AxisRange, AxisRange]:
    """Ranges of x and y around feasible and stock networks; around all if none is feasible."""
    shown = [groups.front, groups.dominated, groups.stock]
    if not (groups.front.rows or groups.dominated.rows):
        shown.append(groups.infeasible)
    return (
        _pad([value for points in shown for value in points.x]),
        _pad([value for points in shown for value in points.y]),
    )


def _pad(values: list[float]) -> AxisRange:
    if not values:
        return 0.0, 1.0
    low, high = min(values), max(values)
    room = _MARGIN * (high - low) or abs(high) * _MARGIN or 1.0
    return low - room, high + room


def is_near(extent: AxisRange, value: float) -> bool:
    """Whether `value` can be shown without compressing the rest."""
    room = _ROOM_FOR_BUDGETS * (extent[1] - extent[0])
    return extent[0] - room <= value <= extent[1] + room


def stretch(extent: AxisRange, value: float) -> AxisRange:
    """`extent`, extended to include `value` with a margin."""
    room = _MARGIN * (extent[1] - extent[0])
    return min(extent[0], value - room), max(extent[1], value + room)


_PLOT = (900.0, 400.0)
"""Approximate width and height of a figure on a desktop, pixels."""
_LETTER, _LINE, _SYMBOL = 6.4, 14.0, 9.0
_SIDES = {
    "middle right": (1, 0), "bottom right": (1, 1), "top right": (1, -1), "middle left": (-1, 0),
    "bottom left": (-1, 1), "top left": (-1, -1), "bottom center": (0, 1), "top center": (0, -1),
}  # fmt: skip
"""Plotly's text positions → direction of the text from the symbol (right, down)."""

Box = tuple[float, float, float, float]
"""Left, top, right, bottom; pixels."""


def place_labels(groups: PointGroups, x_range: AxisRange, y_range: AxisRange) -> list[str]:
    """One plotly text position per stock network.

    Chosen greedily for the least overlap with symbols, earlier names and the edge.
    """
    places = [
        _pixels(x, y, x_range, y_range)
        for points in (groups.stock, groups.front)
        for x, y in zip(points.x, points.y, strict=True)
    ]
    taken = [_around(*place) for place in places]
    positions = []
    for name, place in zip(groups.stock.names, places, strict=False):
        boxes = {side: _box(*place, name, side) for side in _SIDES}
        side = min(boxes, key=lambda one: _outside(boxes[one]) + _overlap(boxes[one], taken))
        positions.append(side)
        taken.append(boxes[side])
    return positions


def _pixels(x: float, y: float, x_range: AxisRange, y_range: AxisRange) -> tuple[float, float]:
    return (
        _PLOT[0] * (x - x_range[0]) / (x_range[1] - x_range[0]),
        _PLOT[1] * (y_range[1] - y) / (y_range[1] - y_range[0]),
    )


def _around(x: float, y: float) -> Box:
    half = _SYMBOL / 1.5
    return x - half, y - half, x + half, y + half


def _box(x: float, y: float, name: str, side: str) -> Box:
    right, down = _SIDES[side]
    width = _LETTER * len(name)
    center_x = x + right * (width / 2 + _SYMBOL)
    center_y = y + down * (_LINE / 2 + _SYMBOL * (0.5 if right else 1))
    half = width / 2
    return center_x - half, center_y - _LINE / 2, center_x + half, center_y + _LINE / 2


def _overlap(box: Box, others: list[Box]) -> float:
    return sum(
        max(0.0, min(box[2], other[2]) - max(box[0], other[0]))
        * max(0.0, min(box[3], other[3]) - max(box[1], other[1]))
        for other in others
    )


def _outside(box: Box) -> float:
    """Area beyond the plot, weighted: a covered name is better than a cut one."""
    across = max(0.0, -box[0]) + max(0.0, box[2] - _PLOT[0])
    down = max(0.0, -box[1]) + max(0.0, box[3] - _PLOT[1])
    return 3 * (across * _LINE + down * (box[2] - box[0]))
