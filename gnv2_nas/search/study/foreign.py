"""A file of another tool that a study compares its networks with. It is no trial."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import msgspec

from gnv2_nas.formats.foreign.network import FileCounts, ForeignNetwork, Input
from gnv2_nas.measurement.records.record import Measurement
from gnv2_nas.search.study.metrics import Metric, get_only, latency_value


class ForeignBaseline(msgspec.Struct, frozen=True):
    """What a study keeps of a file of another tool."""

    id: str
    """Hash of the file, see `ForeignNetwork`."""
    name: str
    input: Input
    counts: FileCounts
    accuracy: float | None = None
    """Per cent, as the user stated it. It is never compared with a score."""
    latencies: Mapping[str, Measurement | None] = {}
    """Label of a device → the latest latency there."""

    @property
    def latency(self) -> Measurement | None:
        """That on the only device; None if it is not known, or if there are several devices."""
        return get_only(self.latencies)

    @property
    def note(self) -> str:
        """What its table says of it beside numbers."""
        stated = "" if self.accuracy is None else f"accuracy {self.accuracy:g}%, as stated"
        uncounted = self.counts.uncounted and f"MFLOPs not counted: {self.counts.uncounted}"
        return "; ".join(filter(None, (self.input.describe(), stated, uncounted)))

    def value(self, metric: Metric) -> float:
        """The value of a metric in base units; NaN where it is not known, as any score is."""
        if metric.base == "latency":
            return latency_value(self.latencies, metric.device)
        found = {
            "macs": self.counts.macs,
            "params": self.counts.params,
            "quality": self.accuracy if metric.is_accuracy else None,
        }.get(metric.base)
        return math.nan if found is None else found

    def on(self, devices: Sequence[str]) -> ForeignBaseline:
        """The file as a study of some of the devices shows it."""
        latencies = {name: each for name, each in self.latencies.items() if name in devices}
        return msgspec.structs.replace(self, latencies=latencies)


def keep_file(network: ForeignNetwork, accuracy: float | None) -> ForeignBaseline:
    """Return what a study keeps of a file that was not measured yet."""
    return ForeignBaseline(network.id, network.name, network.input, network.counts, accuracy)
