"""What `gnv2-nas profile` prints."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gnv2_nas.arch import Architecture
from gnv2_nas.cli.console import print_json, print_table, say
from gnv2_nas.cli.networks import latency_cells
from gnv2_nas.graph import count
from gnv2_nas.measurement.comparison import Comparison, check_budget
from gnv2_nas.measurement.layers import LayerTime
from gnv2_nas.measurement.record import Measurement


def network_json(
    name: str, arch: Architecture, measurement: Measurement, total: int, limit_ms: float | None
) -> dict[str, Any]:
    """One network for scripts."""
    counts = count(arch)
    row = {
        "network": name,
        "id": arch.id,
        "params": counts.params,
        "macs": counts.macs,
        "fvcore_total": total,
        "weight_bytes": counts.weight_bytes,
        "peak_activation_bytes": counts.peak_activation_bytes,
        "latency": measurement,
    }
    return row if limit_ms is None else row | {"budget": check_budget(measurement, limit_ms)}


def print_networks(
    networks: Mapping[str, Architecture],
    measurements: list[Measurement],
    totals: list[int],
    limit_ms: float | None,
) -> None:
    """Sizes and latencies, one line each."""
    cells = []
    for (name, arch), measurement, total in zip(
        networks.items(), measurements, totals, strict=True
    ):
        counts = count(arch)
        figures = (counts.params, counts.macs, total, counts.peak_activation_bytes)
        row = [name, *(f"{figure / 1e6:.2f}" for figure in figures), *latency_cells(measurement)]
        row.append(f"{measurement.raw_ms:.2f}")
        if limit_ms is not None:
            row.append(check_budget(measurement, limit_ms))
        cells.append(tuple(row))
    columns = [
        "network", "Mparams", "MFLOPs", "fvcore total", "peak act. MB", "ms", "95 %", "÷ V2 1.0",
        "raw ms",
    ]  # fmt: skip
    if limit_ms is not None:
        columns.append(f"{limit_ms:g} ms")
    print_table(tuple(columns), cells)


def print_comparisons(first: str, comparisons: Mapping[str, Comparison]) -> None:
    """Every other network against the first."""
    rows = [
        (name, f"{c.ratio:.3f}", f"{c.ci95[0]:.3f}–{c.ci95[1]:.3f}", f"{c.margin:.1%}", c.verdict)
        for name, c in comparisons.items()
    ]
    print_table((f"against {first}", "ratio", "95 %", "margin", "verdict"), rows)
    say("margin: how far apart a network is from itself in other sessions here, 19 times of 20;")
    say("CANNOT TELL: measure on a quieter machine, or take them for equal.")


def explain(measurements: Mapping[str, Measurement]) -> None:
    """What the figures of `print_networks` mean and how they were taken."""
    first = next(iter(measurements.values()))
    say(
        f"device {first.device}: {first.fingerprint.cpu}, {first.fingerprint.runtime}, "
        f"threads {first.threads}, {first.precision}, batch 1, {first.rounds} rounds in "
        f"{first.sessions} sessions, {first.clock} clock"
    )
    worst = max(measurement.parity or 0.0 for measurement in measurements.values())
    say(
        f"every file was checked against torch: logits differ by at most {worst:.1g} of the largest"
    )
    say(
        "ms: ratio times the calibrated time of stock GhostNetV2 1.0; raw ms: median wall time now."
    )
    say("MFLOPs: multiply-adds of convolutions and linear layers, the papers' convention;")
    say("fvcore total: fvcore's default, which adds batch norm, resize and adaptive pooling.")
    for name, measurement in measurements.items():
        tails = ", ".join(f"{tail} {ms:.2f} ms" for tail, ms in measurement.percentiles_ms.items())
        if tails:
            say(f"{name}: wall time {tails}")
        if not measurement.stable:
            say(f"? {name}: {measurement.reason}")


def print_layers(tables: Mapping[str, list[LayerTime]], *, json: bool) -> None:
    """Time, multiply-adds and share of every layer."""
    if json:
        return print_json(tables)
    for name, rows in tables.items():
        cells = [
            (
                layer.name, layer.kind, "x".join(map(str, layer.shape)), f"{layer.ms:.3f}",
                f"{layer.macs / 1e6:.2f}", f"{layer.share:.1%}",
            )
            for layer in rows
        ]  # fmt: skip
        columns = ("layer", "kind", "output", "ms", "MFLOPs", "share")
        print_table(columns, cells, title=name, left=3)
    return say("(layout): copies the runtime adds to rearrange feature maps")
