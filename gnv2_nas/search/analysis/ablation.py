"""What one change to a network did, as measured: latency and quality, with their intervals."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

import msgspec

from gnv2_nas.measurement.comparison import compare
from gnv2_nas.measurement.record import ErrorParts, Measurement
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
        """Whether the interval leaves no doubt that there is a difference, and which way."""
        return self.low > 0 or self.high < 0

    @property
    def half_width(self) -> float:
        """Half the width of the interval."""
        return (self.high - self.low) / 2


class Ablation(msgspec.Struct, frozen=True):
    """A change, and what it did."""

    values: Changes
    base: Trial
    changed: Trial
    latency: Difference | None
    """Milliseconds; None where either was not measured, or under other conditions."""
    quality: Difference | None
    """In the unit of the study's estimator; None where either has no score."""

    @property
    def text(self) -> str:
        return describe_change(self.values)

    @property
    def removes(self) -> bool:
        """Whether a part is left out."""
        return is_removal(self.values)


def find_ablations(record: StudyRecord) -> list[Ablation]:
    """All one-change neighbours of the network whose parts were asked about, best known first.

    It is the one that most trials of origin "change" are a change of. Neighbours that the
    search had evaluated on its way count as well. Without such trials there are none.
    """
    base = _base(record.trials)
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
    return sorted(changes, key=_weight)


def _weight(change: Ablation) -> tuple[bool, float]:
    """Certain effects on latency first, the largest saving before the largest cost."""
    effect = change.latency or change.quality
    return effect is None or not effect.certain, effect.value if effect else 0.0


def _base(trials: Sequence[Trial]) -> Trial | None:
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
    """The one change from a network to another, gene → values; None where it is not just one."""
    if base.params.keys() != other.params.keys() or base.architecture == other.architecture:
        return None
    values = {
        name: (value, other.params[name])
        for name, value in base.params.items()
        if value != other.params[name]
    }
    return values if len(values) == 1 or _one_part_left_out(values) else None


def _one_part_left_out(values: Changes) -> bool:
    return len({name.partition(".")[0] for name in values}) == 1 and is_removal(values)


def latency_difference(base: Trial, changed: Trial) -> Difference | None:
    """Milliseconds more, by the ratio of two measurements on one device.

    Of one batch the rounds are shared and the interval is narrow; where a measurement does not
    say what its interval is made of, both intervals count in full.
    """
    if base.latency is None or changed.latency is None:
        return None
    try:
        comparison = compare(changed.latency, base.latency)
    except ValueError:
        return None
    ratio, interval = comparison.ratio, comparison.ci95
    if ErrorParts() in (base.latency.errors, changed.latency.errors):
        half = math.hypot(_half(base.latency), _half(changed.latency))
        interval = ratio * math.exp(-half), ratio * math.exp(half)
    low, high = (base.latency.ms * (end - 1) for end in interval)
    return Difference(base.latency.ms * (ratio - 1), low, high)


def _half(latency: Measurement) -> float:
    """Half of the 95 % interval of the ratio, in logs."""
    low, high = latency.ratio_ci95
    return math.log(high / low) / 2


def quality_difference(base: Trial, changed: Trial, noise: float) -> Difference | None:
    """How much more quality; differences up to `noise` are luck."""
    if base.quality is None or changed.quality is None:
        return None
    difference = changed.quality - base.quality
    return Difference(difference, difference - noise, difference + noise)
