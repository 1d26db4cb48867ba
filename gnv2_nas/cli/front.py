"""The front of a study on a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from gnv2_nas.cli.console import print_table, say
from gnv2_nas.cli.networks import latency_cells
from gnv2_nas.search.analysis.pareto import find_nearest_to_budgets
from gnv2_nas.search.study.records import StudyRecord, Trial


def print_front(record: StudyRecord, members: Sequence[Trial]) -> None:
    """The table of the front, and what its marks mean; without one, what came nearest."""
    if not members:
        return say(_nearest(record))
    info = record.quality_info
    score = f"{info.name}, {info.unit}" if info.unit else info.name
    columns = ("network", "stock", score, "ms", "95 %", "÷ V2 1.0")
    rows = [_row(record.name, member) for member in members]
    print_table((*columns, "MFLOPs", "Mparams"), rows, title="front", left=2)
    if any(member.latency and not member.latency.stable for member in members):
        say("?: interval wider than was asked for; measure again with gnv2-nas profile STUDY:TRIAL")
    return None


def _row(study: str, member: Trial) -> tuple[str, ...]:
    return (
        f"{study}:{member.number}",
        member.baseline,
        "–" if member.quality is None else f"{member.quality:.2f}",
        *latency_cells(member.latency),
        f"{member.counts.macs / 1e6:.1f}",
        f"{member.counts.params / 1e6:.2f}",
    )


def _nearest(record: StudyRecord) -> str:
    if not record.trials:
        return "no network was evaluated yet"
    nearest = find_nearest_to_budgets(record.trials)
    broken = ", ".join(f"{text} by {excess:.1%}" for text, excess in nearest.broken_budgets.items())
    return (
        f"no network keeps every budget yet; nearest is {record.name}:{nearest.number}, which "
        f"breaks {broken or 'none, but has no value for an objective'}"
    )
