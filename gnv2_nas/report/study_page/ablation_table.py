"""What each part of the recommended network costs: its ablations, as sentences and as a table."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from gnv2_nas.report.wording import format_reference
from gnv2_nas.search.analysis.ablation import Ablation, Difference
from gnv2_nas.search.analysis.views import capitalize
from gnv2_nas.search.study.metrics import Metric, format_accuracy, format_score, get_metric
from gnv2_nas.search.study.records import StudyRecord, Trial

_SENTENCES = 3
"""Ablations described in sentences; the table has all."""


class AblationRow(msgspec.Struct, frozen=True):
    """One ablation as shown."""

    text: str
    reference: str
    on_front: bool
    cells: tuple[tuple[str, str], ...]
    """(value, remark) of each column."""


class AblationTable(msgspec.Struct, frozen=True):
    """The section of the page."""

    lead: str
    sentences: tuple[str, ...]
    columns: tuple[str, ...]
    rows: tuple[AblationRow, ...]


def make_ablation_table(
    record: StudyRecord,
    changes: Sequence[Ablation],
    members: Sequence[Trial],
    recommended: Trial | None,
) -> AblationTable | None:
    """The table of `changes`, all of one network; None without any."""
    if not changes:
        return None
    base, quality = changes[0].base, get_metric("quality", record.quality_info)
    shown = [
        any(change.latency is not None for change in changes),
        any(change.quality is not None for change in changes),
    ]
    titles = ("latency, ms", quality.column_title)
    on_front = {one.number for one in members}
    then = "" if recommended is base else f", the recommended network {_of_what(recommended)}"
    return AblationTable(
        lead=(
            f"Each row changes one thing in {format_reference(record, base)}{then}; all these "
            "networks were evaluated."
        ),
        sentences=tuple(
            describe_ablation(change, quality) for change in changes[:_SENTENCES] if _tells(change)
        ),
        columns=(*(title for title, one in zip(titles, shown, strict=True) if one), "MFLOPs"),
        rows=tuple(
            AblationRow(
                change.text,
                format_reference(record, change.changed),
                change.changed.number in on_front,
                _cells(change, quality, shown),
            )
            for change in changes
        ),
    )


def _tells(change: Ablation) -> bool:
    return any(effect is not None and effect.certain for effect in (change.latency, change.quality))


def describe_ablation(change: Ablation, quality: Metric) -> str:
    """ "DFC in stage 4: removing it saves 0.90 ± 0.10 ms and lowers the Zen-score by 0.21."."""
    subject, _, values = change.text.partition(": ")
    lead = "removing it" if change.removes else values
    parts = [_latency_words(change.latency)] if change.latency else [_macs_words(change)]
    if change.quality is not None:
        parts.append(_quality_words(change.quality, quality))
    return f"{capitalize(subject)}: {lead} {' and '.join(parts)}."


def _latency_words(effect: Difference) -> str:
    if not effect.certain:
        low, high = (_signed(end, "{:.2f}".format) for end in (effect.low, effect.high))
        return f"has no clear effect on latency ({low} to {high} ms)"
    verb = "saves" if effect.value < 0 else "costs"
    return f"{verb} {abs(effect.value):.2f} ± {effect.half_width:.2f} ms"


def _macs_words(change: Ablation) -> str:
    more = _more_macs(change)
    return f"{'costs' if more > 0 else 'saves'} {abs(more):.1f} MFLOPs"


def _quality_words(effect: Difference, quality: Metric) -> str:
    if effect.low == effect.high == 0:
        return f"does not change the {quality.in_text}"
    if not effect.certain:
        noise = f" (noise up to {quality.format_noise()})" if quality.noise else ""
        return f"has no clear effect on the {quality.in_text}{noise}"
    verb = "lowers" if effect.value < 0 else "raises"
    unit = " percentage points" if quality.is_accuracy else ""
    return f"{verb} the {quality.in_text} by {_size(quality, abs(effect.value))}{unit}"


def _size(quality: Metric, amount: float) -> str:
    """A difference with its significant digits."""
    if quality.is_accuracy:
        return format_accuracy(amount)
    return format_score(amount) if amount >= 10 else f"{amount:.2g}"


def _cells(change: Ablation, quality: Metric, shown: Sequence[bool]) -> tuple[tuple[str, str], ...]:
    cells = [
        _cell(change.latency, "{:.2f}".format),
        _cell(change.quality, lambda amount: _size(quality, amount)),
    ]
    macs = _signed(_more_macs(change), "{:.1f}".format)
    return (*(cell for cell, one in zip(cells, shown, strict=True) if one), (macs, ""))


def _cell(effect: Difference | None, size: Callable[[float], str]) -> tuple[str, str]:
    if effect is None:
        return "–", ""
    if effect.certain:
        half = f"± {size(effect.half_width)}" if effect.half_width else ""
        return _signed(effect.value, size), half
    if not effect.half_width:
        return "no change", ""
    return "unclear", f"{_signed(effect.low, size)} to {_signed(effect.high, size)}"


def _signed(amount: float, size: Callable[[float], str]) -> str:
    return f"{'−' if amount < 0 else '+'}{size(abs(amount))}"


def _more_macs(change: Ablation) -> float:
    """Additional multiply-adds, in millions."""
    return (change.changed.counts.macs - change.base.counts.macs) / 1e6


def _of_what(recommended: Trial | None) -> str:
    """Why the base is not the recommended network."""
    outside = recommended is not None and not recommended.params
    return "inside the search space" if outside else "when they were chosen"
