"""What `gnv2-nas profile` finds out, one class for each table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from gnv2_nas.arch import Architecture
from gnv2_nas.devices.fingerprint import Fingerprint
from gnv2_nas.formats.foreign.network import TimedNetwork, counts_of
from gnv2_nas.graph import count
from gnv2_nas.latency_model.file import FittedOn
from gnv2_nas.latency_model.model import LatencyModel, PredictedLatency
from gnv2_nas.measurement import Measurement
from gnv2_nas.measurement.layers import LayerTime
from gnv2_nas.measurement.records.record import Comparison, check_budget
from gnv2_nas.workflows.latency import describe_model


def describe_file(network: TimedNetwork) -> dict[str, Any] | None:
    """Return what is known of a file of another tool, for scripts; None for a network of ours."""
    if isinstance(network, Architecture):
        return None
    return {"input": network.input, "uncounted": network.counts.uncounted}


class Sizes(msgspec.Struct, frozen=True):
    """Sizes and latencies of networks."""

    networks: Mapping[str, TimedNetwork]
    measurements: Sequence[Measurement]
    """In the order of `networks`."""
    fvcore_totals: Sequence[int | None]
    """None for the file of another tool."""
    limit_ms: float | None

    def to_json(self) -> list[dict[str, Any]]:
        """Return one row for each network, for scripts."""
        rows = []
        for (name, network), measurement, total in zip(
            self.networks.items(), self.measurements, self.fvcore_totals, strict=True
        ):
            counts = counts_of(network)
            row = {
                "network": name,
                "id": network.id,
                "foreign": describe_file(network),
                "params": counts.params,
                "macs": counts.macs,
                "fvcore_total": total,
                "weight_bytes": counts.weight_bytes,
                "peak_activation_bytes": getattr(counts, "peak_activation_bytes", None),
                "latency": msgspec.structs.replace(measurement, panel=None),
            }
            if self.limit_ms is not None:
                row["budget"] = check_budget(measurement, self.limit_ms)
            rows.append(row)
        return rows


class Comparisons(msgspec.Struct, frozen=True):
    """Every other network compared with the first."""

    first: str
    comparisons: Mapping[str, Comparison]

    def to_json(self) -> dict[str, Any]:
        """Return the comparisons for scripts."""
        return {"first": self.first, "comparisons": self.comparisons}


class LayerTables(msgspec.Struct, frozen=True):
    """The time of every layer of each network."""

    tables: Mapping[str, Sequence[LayerTime]]

    def to_json(self) -> Mapping[str, Sequence[LayerTime]]:
        """Return the tables for scripts."""
        return self.tables


class Memories(msgspec.Struct, frozen=True):
    """The memory of networks: by arithmetic, of their files, and as it is."""

    device: str
    fingerprint: Fingerprint
    threads: int
    precision: str
    networks: Mapping[str, TimedNetwork]
    artifact_bytes: Sequence[float]
    """Size of the files that the runtime loads, in the order of `networks`."""
    peak_bytes: Sequence[float]
    """Peak resident memory, see `runner.peak_memory`."""

    def to_json(self) -> list[dict[str, Any]]:
        """Return one row for each network, for scripts."""
        rows = []
        for (name, network), artifact, peak in zip(
            self.networks.items(), self.artifact_bytes, self.peak_bytes, strict=True
        ):
            counts = counts_of(network)
            rows.append(
                {
                    "network": name,
                    "id": network.id,
                    "foreign": describe_file(network),
                    "weight_bytes": counts.weight_bytes,
                    "peak_activation_bytes": getattr(counts, "peak_activation_bytes", None),
                    "memory_bytes": getattr(counts, "memory_bytes", None),
                    "artifact_bytes": artifact,
                    "peak_memory_bytes": peak,
                }
            )
        return rows


class Predictions(msgspec.Struct, frozen=True):
    """Latencies that the device's model predicts."""

    networks: Mapping[str, Architecture]
    predictions: Sequence[PredictedLatency]
    """In the order of `networks`."""
    model: LatencyModel
    fitted_on: FittedOn
    differences: Sequence[str]
    """How this machine differs from the one that the model was fitted on."""

    def to_json(self) -> dict[str, Any]:
        """Return the predictions and the errors of the model, for scripts."""
        rows = []
        for (name, arch), predicted in zip(self.networks.items(), self.predictions, strict=True):
            counts = count(arch)
            row = {"network": name, "id": arch.id, "params": counts.params, "macs": counts.macs}
            rows.append(row | {"predicted_latency": predicted})
        model = describe_model(self.model, self.fitted_on)
        return {"predictions": rows, "model": model, "differences": self.differences}
