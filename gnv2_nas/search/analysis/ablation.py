"""Ablation of a network: the measured effect of single changes on latency and quality."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

import msgspec

from gnv2_nas.measurement.records.record import ErrorParts, Measurement, compare
from gnv2_nas.search.analysis.variants import Changes
from gnv2_nas.search.study.records import StudyRecord, Trial
from gnv2_nas.space import describe_change, is_removal


class Difference(msgspec.Struct, frozen=True):
    """A value of the changed network minus that of the base network."""

    value: float = msgspec.field(name="difference")
    low: float
    """Lower end of the 95 % interval, or of the noise; equal to `value` where it is exact."""
    high: float

    @property
    def certain(self) -> bool:
        """Whether the interval excludes 0."""
        return self.low > 0 or self.high < 0

    @property
    def half_width(self) -> float:
        """Half the width of the interval."""
        return (self.high - self.low) / 2


class Ablation(msgspec.Struct, frozen=True):
    """A single change to a network and its measured effect."""

    values: Changes
    base: Trial
    changed: Trial
    latency: Difference | None
    """Milliseconds; None if not both were measured under the same conditions."""
    quality: Difference | None
    """In the unit of the study's estimator; None if either network has no score."""

    @property
    def text(self) -> str:
        return describe_change(self.values)

    @property
    def removes(self) -> bool:
        """Whether the change removes a part."""
        return is_removal(self.values)


def find_ablations(record: StudyRecord) -> list[Ablation]:
    """All evaluated single changes to one base network, significant ones first.

    The base is the network that most trials of origin "change" are single changes of. Networks
    that the search itself evaluated count as well. Without such trials the list is empty.
    """
    base = _find_base(record.trials)
    if base is None:
        return []
    noise = record.quality_info.noise
    changes = [
        Ablation(
            values, base, one, latency_difference(base, one), quality_difference(base, one, noise)
        )
        for one in record.trials
        if (values := find_single_change(base, one)) is not None
    ]
    return sorted(changes, key=_sort_key)


def _sort_key(change: Ablation) -> tuple[bool, float]:
    """Significant effects first, from the largest saving to the largest cost."""
    effect = change.latency or change.quality
    return effect is None or not effect.certain, effect.value if effect else 0.0


def _find_base(trials: Sequence[Trial]) -> Trial | None:
    changed = [one for one in trials if one.origin == "change"]
    neighbours = Counter(
        other.number
        for one in changed
        for other in trials
        if find_single_change(other, one) is not None
    )
    found = [one for one in trials if neighbours[one.number]]
    return max(
        found,
        key=lambda one: (neighbours[one.number], one.origin != "change", one.number),
        default=None,
    )


def find_single_change(base: Trial, other: Trial) -> Changes | None:
    """The change from `base` to `other`; None unless it is a single one.

    Removing a part from several blocks at once also counts as one change.
    """
    if base.params.keys() != other.params.keys() or base.architecture == other.architecture:
        return None
    values = {
        name: (value, other.params[name])
        for name, value in base.params.items()
        if value != other.params[name]
    }
    return values if len(values) == 1 or _removes_one_part(values) else None


def _removes_one_part(values: Changes) -> bool:
    return len({name.partition(".")[0] for name in values}) == 1 and is_removal(values)


def latency_difference(base: Trial, changed: Trial) -> Difference | None:
    """Additional milliseconds of `changed`, from the ratio of the two measurements.

    The interval is narrow when both were measured in the same batch. When the error parts of a
    measurement are unknown, both intervals count in full.
    """
    if base.latency is None or changed.latency is None:
        return None
    try:
        comparison = compare(changed.latency, base.latency)
    except ValueError:
        return None
    ratio, interval = comparison.ratio, comparison.ci95
    if ErrorParts() in (base.latency.errors, changed.latency.errors):
        half = math.hypot(_log_half_width(base.latency), _log_half_width(changed.latency))
        interval = ratio * math.exp(-half), ratio * math.exp(half)
    low, high = (base.latency.ms * (end - 1) for end in interval)
    return Difference(base.latency.ms * (ratio - 1), low, high)


def _log_half_width(latency: Measurement) -> float:
    """Half width of the 95 % interval of the logarithm of the ratio."""
    low, high = latency.ratio_ci95
    return math.log(high / low) / 2


def quality_difference(base: Trial, changed: Trial, noise: float) -> Difference | None:
    """Additional quality of `changed`; the interval is ± `noise`."""
    if base.quality is None or changed.quality is None:
        return None
    difference = changed.quality - base.quality
    return Difference(difference, difference - noise, difference + noise)
