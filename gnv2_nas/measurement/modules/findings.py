"""What follows from the times of modules: speed-ups beside their theory, and axes that pay."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from gnv2_nas.measurement.modules import cases
from gnv2_nas.measurement.modules.cases import Case, Comparison
from gnv2_nas.measurement.modules.times import GraphTimes, Interval

SMALLER: tuple[tuple[str, str, str, str, str], ...] = (
    ("placement", "bottlenecks", cases.V2_BOTH, cases.V1, "attention on both modules → none"),
    ("dfc_kernel_h", "dfc", "11×5 taps", "3×5 taps", "11 → 3 taps"),
    ("dfc_kernel_w", "dfc", "5×11 taps", "5×3 taps", "11 → 3 taps"),
    ("dfc_factor", "dfc", "factor 1", "factor 4", "1 → 4"),
    ("dfc_pool", "dfc", "max pooling", cases.STOCK, "max → avg"),
    ("dfc_resize", "dfc", "bilinear", cases.STOCK, "bilinear → nearest"),
    ("kernel", "bottlenecks", cases.KERNEL_5, cases.V1, "5 → 3"),
    ("se_ratio", "bottlenecks", cases.WITH_SE, cases.V1, "0.25 → 0"),
    ("ghost_ratio", "ghost", "s=2, d=3", "s=4, d=3", "2 → 4"),
    ("cheap_kernel", "ghost", "s=2, d=5", "s=2, d=3", "5 → 3"),
)  # fmt: skip
"""Axis of search spaces, comparison, the variant of its larger and of its smaller value, both in
words. They are fixed in advance: the best pair of many would be partly the luckiest."""


class Row(msgspec.Struct, frozen=True):
    """A variant beside the reference of its comparison, at one place."""

    variant: str
    place: tuple[str, str]
    theory: float
    """The ratio of multiply-adds, see `Comparison.speed_up`."""
    ms: float | None = None
    """Milliseconds of one module."""
    ratio: Interval | None = None
    """The ratio of times."""
    refused: str = ""
    """Why there is no ratio."""


class Pooled(msgspec.Struct, frozen=True):
    """A variant over all places where it was measured: geometric means."""

    variant: str
    theory: float
    ratio: Interval | None
    refused: str = ""
    """Why a place is missing."""


class MeasuredComparison(msgspec.Struct, frozen=True):
    """A comparison with its times."""

    name: str
    title: str
    about: str
    reference: str
    speed_up: bool
    """See `Comparison`."""
    rows: tuple[Row, ...]
    """Those of the reference have a time and a ratio of 1."""
    pooled: tuple[Pooled, ...]
    again: Interval | None
    """Two rows of the same file (A/A); None if nothing ran."""
    sessions: int
    rounds: int
    doubts: tuple[str, ...]


class AxisFinding(msgspec.Struct, frozen=True):
    """Whether the smaller values of an axis of search spaces save time."""

    axis: str
    change: str
    """The values that were compared, such as "11 → 3 taps"."""
    module: str
    """What the saving is a share of: "Ghost module", "block" …"""
    saving: Interval | None = None
    """Share of the module's time that the smaller value saves; negative if it costs time."""
    refused: str = ""
    """Why there is no saving."""

    @property
    def pays(self) -> bool:
        """Whether the saving is beyond its interval."""
        return self.saving is not None and self.saving.low > 0

    @property
    def costs(self) -> bool:
        """Whether the smaller value takes longer, beyond the interval."""
        return self.saving is not None and self.saving.high < 0


class ModuleFindings(msgspec.Struct, frozen=True):
    """Everything that was measured on a device."""

    device: str
    cpu: str
    runtime: str
    threads: int
    precision: str
    clock: str
    comparisons: tuple[MeasuredComparison, ...]
    axes: tuple[AxisFinding, ...]
    seconds: float
    taken_at: str
    """ISO 8601, UTC."""

    @property
    def doubts(self) -> tuple[str, ...]:
        """Why nothing follows from the times, as clauses; () if something does."""
        return tuple(dict.fromkeys(each for one in self.comparisons for each in one.doubts))

    def to_json(self) -> dict[str, Any]:
        """Return the facts for scripts."""
        facts: dict[str, Any] = msgspec.to_builtins(self)
        for row, axis in zip(facts["axes"], self.axes, strict=True):
            row["pays"] = axis.pays
        return facts | {"doubts": self.doubts}


def summarize(comparison: Comparison, times: GraphTimes) -> MeasuredComparison:
    """Return the ratios of a comparison, place by place and over all places."""
    rows, pooled = [], []
    for variant in (comparison.reference, *comparison.variants):
        pairs = list(_pairs(comparison, variant, comparison.reference))
        rows += [_row(times, *pair, inverse=comparison.speed_up) for pair in pairs]
        if comparison.speed_up:
            pairs = [(reference, case) for case, reference in pairs]
        if variant != comparison.reference:
            pooled.append(_pool(times, variant, pairs))
    return MeasuredComparison(
        name=comparison.name,
        title=comparison.title,
        about=comparison.about,
        reference=comparison.reference,
        speed_up=comparison.speed_up,
        rows=tuple(rows),
        pooled=tuple(pooled),
        again=times.again,
        sessions=times.sessions,
        rounds=times.rounds,
        doubts=times.doubts,
    )


def judge_axes(comparison: Comparison, times: GraphTimes) -> Iterator[AxisFinding]:
    """Yield a finding for each axis that the comparison tells about."""
    for axis, name, larger, smaller, change in SMALLER:
        if name != comparison.name:
            continue
        module = _MODULES[name]
        found = _pool(times, smaller, list(_pairs(comparison, smaller, larger)))
        if found.ratio is None:
            yield AxisFinding(axis, change, module, refused=found.refused)
        else:
            value, low, high = (1 - each for each in msgspec.structs.astuple(found.ratio))
            yield AxisFinding(axis, change, module, Interval(value, high, low))


_MODULES = {"ghost": "a Ghost module", "dfc": "a GhostNetV2 module", "bottlenecks": "a block"}


def _pairs(comparison: Comparison, first: str, second: str) -> Iterator[tuple[Case, Case]]:
    """Yield the cases of two variants at each place that has both."""
    firsts = {case.place: case for case in comparison.cases if case.variant == first}
    for case in comparison.cases:
        if case.variant == second and case.place in firsts:
            yield firsts[case.place], case


def _row(times: GraphTimes, case: Case, reference: Case, *, inverse: bool) -> Row:
    first, second = (reference, case) if inverse else (case, reference)
    theory = first.work / second.work
    if problem := times.problem(case):
        return Row(case.variant, case.place, theory, refused=problem)
    ms = times.module_seconds(case) * 1e3
    if problem := times.problem(reference):
        return Row(case.variant, case.place, theory, ms, refused=f"{reference.variant}: {problem}")
    return Row(case.variant, case.place, theory, ms, times.ratio([(first, second)]))


def _pool(times: GraphTimes, variant: str, pairs: Sequence[tuple[Case, Case]]) -> Pooled:
    problems = {pair: times.problem(pair[0]) or times.problem(pair[1]) for pair in pairs}
    measured = [pair for pair, problem in problems.items() if not problem]
    logs = [math.log(first.work / second.work) for first, second in measured or pairs]
    return Pooled(
        variant=variant,
        theory=math.exp(math.fsum(logs) / len(logs)),
        ratio=times.ratio(measured) if measured else None,
        refused=next(filter(None, problems.values()), ""),
    )
