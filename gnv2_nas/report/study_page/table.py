"""Rows of the page's table: the front, then the stock networks."""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping, Sequence

import msgspec
import numpy as np

from gnv2_nas.measurement.records.record import Measurement
from gnv2_nas.report.files import file_stem
from gnv2_nas.report.frames import format_widths
from gnv2_nas.report.wording import format_excess, format_reference
from gnv2_nas.search.study.metrics import (
    Metric,
    format_accuracy,
    format_score,
    get_only,
    worst_ratio,
)
from gnv2_nas.search.study.records import StudyRecord, Trial

MAX_ROWS = 200
"""A longer front is thinned evenly, because every row embeds its architecture."""


class Cell(msgspec.Struct, frozen=True):
    """A value as shown, with its sort key."""

    text: str
    key: float
    detail: str = ""


class NetworkRow(msgspec.Struct, frozen=True):
    """One network."""

    trial: int
    anchored: bool
    """Whether a click in the figure leads here; not to a second row of the same network."""
    reference: str
    name: str
    is_best: bool
    """Whether it is the recommended network."""
    badges: tuple[str, ...]
    widths: str
    cells: tuple[Cell, ...]
    download: str
    """The architecture as a `data:` link."""
    filename: str


COUNTED = ("MFLOPs", "params, M", "memory, MB")


def column_titles(record: StudyRecord) -> tuple[str, ...]:
    """Titles of the columns after the score."""
    labels = record.settings.device_labels
    latency = ["latency, ms", "ratio to stock"]
    if len(labels) > 1:
        latency = [*(f"{label}, ms" for label in labels), "worst ratio to stock"]
    evaluated = (f"{each.in_text}, {each.unit}" for each in record.settings.evaluated)
    return (*latency, *COUNTED, *evaluated)


def list_front_rows(
    record: StudyRecord, members: Sequence[Trial], best: Trial | None
) -> list[NetworkRow]:
    """Rows of the front; a long front is sampled evenly and keeps the recommended network."""
    chosen = list(members)
    if len(chosen) > MAX_ROWS:
        places = set(np.linspace(0, len(chosen) - 1, MAX_ROWS).round().astype(int).tolist())
        chosen = [one for n, one in enumerate(chosen) if n in places or one is best]
    return [
        make_row(record, one, ("recommended",), is_best=True)
        if one is best
        else make_row(record, one)
        for one in chosen
    ]


def list_stock_rows(
    record: StudyRecord, members: Sequence[Trial], compared: Trial | None
) -> list[NetworkRow]:
    """Rows of all stock networks of the study, feasible or not.

    Args:
        compared: the one that the answer compares with.
    """
    on_front = {one.number for one in members}
    rows = []
    for one in record.trials:
        if one.baseline:
            badges = ["the answer compares with it"] if one is compared else []
            badges += ["on the front"] if one.number in on_front else []
            rows.append(make_row(record, one, tuple(badges), anchored=one.number not in on_front))
    return rows


def make_row(
    record: StudyRecord,
    trial: Trial,
    badges: tuple[str, ...] = (),
    *,
    is_best: bool = False,
    anchored: bool = True,
) -> NetworkRow:
    """One row of a table of networks."""
    if not trial.is_stable:
        badges += ("latency not stable",)
    if not trial.feasible:
        badges += (format_excess(trial),)
    arch = trial.architecture
    content = base64.b64encode(arch.to_json().encode()).decode()
    return NetworkRow(
        trial=trial.number,
        anchored=anchored,
        reference=format_reference(record, trial),
        name=trial.baseline,
        is_best=is_best,
        badges=badges,
        widths=format_widths(arch),
        cells=_cells(record, trial),
        download=f"data:application/json;base64,{content}",
        filename=f"{file_stem(record.name)}-{trial.number}-{arch.id}.json",
    )


def _cells(record: StudyRecord, trial: Trial) -> tuple[Cell, ...]:
    counts = trial.counts
    return (
        _score(trial.quality, is_accuracy=record.quality_info.is_accuracy),
        *latency_cells(record, trial.latencies),
        Cell(f"{counts.macs / 1e6:.1f}", counts.macs),
        Cell(f"{counts.params / 1e6:.2f}", counts.params),
        Cell(f"{counts.memory_bytes / 1e6:.1f}", counts.memory_bytes),
        *(_evaluated(metric, metric.value(trial)) for metric in record.settings.evaluated),
    )


def _evaluated(metric: Metric, value: float) -> Cell:
    return missing() if math.isnan(value) else Cell(f"{value / metric.scale:.2f}", value)


def _score(quality: float | None, *, is_accuracy: bool) -> Cell:
    if quality is None or math.isnan(quality):
        return missing()
    return Cell((format_accuracy if is_accuracy else format_score)(quality), quality)


def latency_cells(
    record: StudyRecord, latencies: Mapping[str, Measurement | None]
) -> tuple[Cell, ...]:
    """The latency and its ratio; on several devices, each latency and the worst ratio."""
    labels = record.settings.device_labels
    if len(labels) == 1:
        return _latency(get_only(latencies))
    worst = worst_ratio(latencies)
    cells = (_latency(latencies.get(label)) for label in labels)
    on_devices = (Cell(ms.text, ms.key, _of_stock(ratio)) for ms, ratio in cells)
    return (*on_devices, missing() if math.isnan(worst) else Cell(f"{worst:.3f}", worst))


def _of_stock(ratio: Cell) -> str:
    return f"{ratio.text} of stock" if math.isfinite(ratio.key) else ""


def _latency(latency: Measurement | None) -> tuple[Cell, Cell]:
    if latency is None:
        return missing(), missing()
    low, high = latency.ci95
    ratio_low, ratio_high = latency.ratio_ci95
    return (
        Cell(f"{latency.ms:.2f}", latency.ms, f"{low:.2f}–{high:.2f}"),
        Cell(f"{latency.ratio:.3f}", latency.ratio, f"{ratio_low:.3f}–{ratio_high:.3f}"),
    )


def missing() -> Cell:
    """A value that is not known."""
    return Cell("–", math.inf)
