"""Files of other tools as points of a scatter."""

from __future__ import annotations

import html
import math

import msgspec

from gnv2_nas.report.figures.points import AxisRange, is_near
from gnv2_nas.report.wording import describe_latency
from gnv2_nas.search.study.foreign import ForeignBaseline
from gnv2_nas.search.study.metrics import METRICS, Metric
from gnv2_nas.search.study.records import StudyRecord

_ABOVE_EDGE = 0.02
"""Of the height of the plot."""


class FilePoints(msgspec.Struct, frozen=True):
    """Files that are drawn; every list has one entry for each."""

    names: list[str]
    x: list[float]
    y: list[float]
    hover: list[str]
    """Hover texts in plotly's markup."""
    on_edge: bool
    """Whether some have no value on the y axis and stand on its lower edge."""


def place_files(
    record: StudyRecord, x: Metric, y: Metric, x_range: AxisRange, y_range: AxisRange
) -> FilePoints:
    """Place the files that have a value on the x axis near the networks."""
    found: list[tuple[ForeignBaseline, float, float]] = []
    for each in record.foreign:
        across, up = each.value(x) / x.scale, each.value(y) / y.scale
        if not math.isnan(across) and is_near(x_range, across):
            found.append((each, across, up))
    edges = [not math.isnan(up) and is_near(y_range, up) for _, _, up in found]
    # Plotly draws no point that is outside of the range, be it by rounding.
    edge = y_range[0] + _ABOVE_EDGE * (y_range[1] - y_range[0])
    return FilePoints(
        names=[html.escape(each.name) for each, _, _ in found],
        x=[float(f"{across:.6g}") for _, across, _ in found],
        y=[
            float(f"{up if placed else edge:.6g}")
            for placed, (_, _, up) in zip(edges, found, strict=True)
        ],
        hover=[_hover(each) for each, _, _ in found],
        on_edge=not all(edges),
    )


def _hover(file: ForeignBaseline) -> str:
    lines = [file.note]
    if file.latency is not None:
        lines.append(describe_latency(file.latency))
    known = [(METRICS[name], file.value(METRICS[name])) for name in ("macs", "params")]
    lines.append(", ".join(each.format(value) for each, value in known if not math.isnan(value)))
    title = f"<b>{html.escape(file.name)}</b> (file of another tool)"
    return "<br>".join([title, *map(html.escape, lines)])
