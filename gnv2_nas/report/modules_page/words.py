"""What was measured of modules, in sentences that the terminal and the page share."""

from __future__ import annotations

from collections.abc import Iterator

from gnv2_nas.measurement.modules.findings import (
    AxisFinding,
    MeasuredComparison,
    ModuleFindings,
    Pooled,
)
from gnv2_nas.measurement.modules.times import Interval

COLUMNS = ("module", "theory", "measured", "95 %", "lowest", "highest")


def format_ratio(value: float) -> str:
    """Return a ratio with its noise in the last digit: "0.053", "0.99", "12.3", "120"."""
    decimals = 3 if value < 0.1 else 2 if value < 10 else 1 if value < 100 else 0
    return f"{value:.{decimals}f}"


def format_interval(interval: Interval) -> str:
    """Return "0.97–1.02"."""
    return f"{format_ratio(interval.low)}–{format_ratio(interval.high)}"


def ratio_title(comparison: MeasuredComparison) -> str:
    """Return what the ratios of a comparison are."""
    if comparison.speed_up:
        return f"speed-up over {comparison.reference}"
    return f"time relative to {comparison.reference}"


def summary_rows(comparison: MeasuredComparison) -> list[tuple[str, ...]]:
    """Return a row of `COLUMNS` for each variant: over all places, and the extreme ones."""
    return [_summary_row(comparison, pooled) for pooled in comparison.pooled]


def _summary_row(comparison: MeasuredComparison, pooled: Pooled) -> tuple[str, ...]:
    theory = format_ratio(pooled.theory)
    if pooled.ratio is None:
        return pooled.variant, theory, "–", "–", "–", "–"
    measured = format_ratio(pooled.ratio.value), format_interval(pooled.ratio)
    known = [
        (row.ratio.value, ", ".join(row.place))
        for row in comparison.rows
        if row.variant == pooled.variant and row.ratio is not None
    ]
    ends = (f"{format_ratio(value)} ({place})" for value, place in (min(known), max(known)))
    return pooled.variant, theory, *measured, *ends


def list_refusals(comparison: MeasuredComparison) -> list[str]:
    """Return a line for each variant and reason for which a place has no ratio."""
    reasons: dict[tuple[str, str], list[str]] = {}
    for row in comparison.rows:
        if row.refused:
            reasons.setdefault((row.variant, row.refused), []).append(" ".join(row.place))
    return [
        f"{variant} at {', '.join(places)}: {why}" for (variant, why), places in reasons.items()
    ]


def describe_check(comparison: MeasuredComparison) -> str:
    """Return how the rounds were, and what the same file gave twice."""
    if comparison.again is None:
        return "nothing ran"
    return (
        f"{comparison.rounds} rounds in {comparison.sessions} sessions; the same file twice (A/A): "
        f"{format_ratio(comparison.again.value)} ({format_interval(comparison.again)})"
    )


def describe_axis(axis: AxisFinding) -> str:
    """Return "dfc_factor (1 → 4 saves 36.0 % of a GhostNetV2 module, 34.4 to 37.5)"."""
    if axis.saving is None:
        return f"{axis.axis} ({axis.change}: {axis.refused})"
    value, low, high = axis.saving.value, axis.saving.low, axis.saving.high
    if axis.costs:
        cost = f"takes {-value:.1%} longer for {axis.module}, {-high:.1%} to {-low:.1%}"
        return f"{axis.axis} ({axis.change} {cost})"
    saves = f"saves {value:.1%} of {axis.module}, {low:.1%} to {high:.1%}"
    return f"{axis.axis} ({axis.change} {saves})"


def describe_findings(findings: ModuleFindings) -> Iterator[str]:
    """Yield sentences: what the modules of the papers save on the device, which axes of search
    spaces pay there, and which do not."""
    yield from filter(None, map(describe_headline, findings.comparisons))
    if findings.doubts:
        yield f"Nothing follows from this: {'; '.join(findings.doubts)}."
        return
    where = f"{findings.device} ({findings.runtime} on {findings.cpu})"
    paying = [describe_axis(axis) for axis in findings.axes if axis.pays]
    others = [describe_axis(axis) for axis in findings.axes if not axis.pays]
    if paying:
        yield f"On {where} these axes pay: {'; '.join(paying)}."
    else:
        yield f"On {where} no axis pays."
    if others:
        yield f"These do not: {'; '.join(others)}."


HEADLINES = {
    "ghost": "s=2, d=3",
    "attention": "DFC, 5 taps",
    "dfc": "no attention",
    "bottlenecks": "V2, first module",
}
"""Comparison → the variant that the papers are about."""


def describe_headline(comparison: MeasuredComparison) -> str:
    """Return what was measured of the variant that the papers are about; "" if nothing was."""
    for pooled in comparison.pooled:
        if pooled.variant == HEADLINES[comparison.name] and pooled.ratio is not None:
            _, theory, measured, interval, lowest, highest = _summary_row(comparison, pooled)
            what = "as fast as" if comparison.speed_up else "the time of"
            return (
                f"{pooled.variant}: {measured} times {what} {comparison.reference} ({interval}) "
                f"where multiply-adds promise {theory}; from {lowest} to {highest}."
            )
    return ""
