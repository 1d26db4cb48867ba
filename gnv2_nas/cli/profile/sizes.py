"""The table of networks that `gnv2-nas profile` prints, with files of other tools among them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gnv2_nas.arch import Architecture
from gnv2_nas.cli.console import print_table, say
from gnv2_nas.cli.profile.sustained import describe_pace
from gnv2_nas.formats.foreign.network import counts_of
from gnv2_nas.measurement.records.record import Measurement, check_budget, format_latency

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from gnv2_nas.formats.foreign.network import TimedNetwork
    from gnv2_nas.workflows.profile.results import Sizes

MARK = "†"
"""Behind the name of a file that another tool wrote."""


def print_sizes(result: Sizes) -> None:
    """Print sizes and latencies, and how they were measured."""
    rows = []
    for (name, network), measurement, total in zip(
        result.networks.items(), result.measurements, result.fvcore_totals, strict=True
    ):
        counts, foreign = counts_of(network), not isinstance(network, Architecture)
        peak = getattr(counts, "peak_activation_bytes", None)
        figures = (
            "–" if figure is None else f"{figure / 1e6:.2f}"
            for figure in (counts.params, counts.macs, total, peak)
        )
        row = [f"{name} {MARK}" if foreign else name, *figures, *format_latency(measurement)]
        row.append(f"{measurement.raw_ms:.2f}")
        if result.limit_ms is not None:
            row.append(check_budget(measurement, result.limit_ms))
        rows.append(row)
    columns = [
        "network", "Mparams", "MFLOPs", "fvcore total", "peak act. MB", "ms", "95 %", "÷ V2 1.0",
        "raw ms",
    ]  # fmt: skip
    if result.limit_ms is not None:
        columns.append(f"{result.limit_ms:g} ms")
    print_table(columns, rows)
    _explain_sizes(result)


def _explain_sizes(result: Sizes) -> None:
    first = result.measurements[0]
    say(
        f"device {first.device}: {first.fingerprint.cpu}, {first.fingerprint.runtime}, "
        f"threads {first.threads}, {first.precision}, batch 1, {first.rounds} rounds in "
        f"{first.sessions} sessions, {first.clock} clock"
    )
    if first.conditions is not None and (known := first.conditions.describe()):
        say(f"conditions: {known}")
    for sentence in describe_pace(result):
        say(sentence)
    for sentence in _describe_checks(result.measurements):
        say(sentence)
    say("ms: ratio times the calibrated time of stock GhostNetV2 1.0; raw ms: median wall time.")
    say("MFLOPs: multiply-adds of convolutions and linear layers, as in the papers;")
    say("fvcore total: fvcore's default, which adds batch norm, resize and adaptive pooling.")
    for sentence in _describe_foreign(result.networks):
        say(sentence)
    for name, measurement in zip(result.networks, result.measurements, strict=True):
        tails = ", ".join(f"{tail} {ms:.2f} ms" for tail, ms in measurement.percentiles_ms.items())
        if tails:
            say(f"{name}: wall time {tails}")
        if not measurement.stable:
            say(f"? {name}: {measurement.reason}")


def _describe_foreign(networks: Mapping[str, TimedNetwork]) -> Iterator[str]:
    """Yield how the files of other tools were timed and counted."""
    files = {name: each for name, each in networks.items() if not isinstance(each, Architecture)}
    if files:
        yield (
            f"{MARK}: file of another tool, timed in the same rounds; nothing checks what it "
            "computes; MFLOPs and Mparams are those of its graph"
        )
    for name, each in files.items():
        chosen = " (the file leaves the sides free)" * each.input.free
        yield f"{name}: input {each.input.describe()}{chosen}"
        if each.counts.uncounted:
            yield f"{name}: MFLOPs cannot be counted: {each.counts.uncounted}"


def _describe_checks(measurements: Sequence[Measurement]) -> Iterator[str]:
    """Yield what is known of how files were checked and timed."""
    differences = [each.parity for each in measurements if each.parity is not None]
    if differences:
        yield (
            f"every file of ours was checked against torch: logits differ by at most "
            f"{max(differences):.1g} of the largest"
        )
    if measurements[0].clock == "program":
        wide = max(high / low for low, high in (each.ratio_ci95 for each in measurements))
        yield (
            f"{measurements[0].runtime} printed the times; it loads the network anew for each "
            f"visit, and so the ratios are known within ±{wide**0.5 - 1:.1%} only"
        )
        yield "files were not checked against torch on the device: the program prints no logits"
