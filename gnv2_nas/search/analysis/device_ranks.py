"""Whether the devices of a study rank networks alike."""

from __future__ import annotations

import random
from itertools import combinations

import msgspec

from gnv2_nas.search.study.records import StudyRecord
from gnv2_nas.stats.rank_agreement import RankAgreement, rank_agreement

MAX_NETWORKS = 300
"""Networks that a pair of devices is compared by; the time grows with the square."""


class DevicePair(msgspec.Struct, frozen=True):
    """The latencies of all networks that were measured on both of two devices."""

    one: str
    other: str
    agreement: RankAgreement | None
    """Kendall's τ of the latencies; None if there are too few networks."""

    @property
    def swapped(self) -> float:
        """Share of pairs of networks of which each is faster on one of the devices."""
        return float("nan") if self.agreement is None else (1 - self.agreement.tau) / 2


def compare_devices(record: StudyRecord) -> list[DevicePair]:
    """Every pair of devices that a study measures on, the one that agrees least first.

    Of more than `MAX_NETWORKS` networks, as many are drawn.
    """
    labels = record.settings.device_labels if record.settings.measures else ()
    pairs = [_compare(record, *pair) for pair in combinations(labels, 2)]
    return sorted(pairs, key=lambda pair: -1.0 if pair.agreement is None else -pair.swapped)


def _compare(record: StudyRecord, one: str, other: str) -> DevicePair:
    known = [
        (first.ms, second.ms)
        for trial in record.trials
        for first, second in [(trial.latencies.get(one), trial.latencies.get(other))]
        if first is not None and second is not None
    ]
    if len(known) > MAX_NETWORKS:
        known = random.Random(0).sample(known, MAX_NETWORKS)
    latencies = ([pair[0] for pair in known], [pair[1] for pair in known])
    return DevicePair(one, other, rank_agreement(*latencies))
