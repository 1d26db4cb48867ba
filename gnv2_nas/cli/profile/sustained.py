"""What `gnv2-nas profile` prints about pauses between calls and about networks that run on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from gnv2_nas.cli.console import print_table, say

if TYPE_CHECKING:
    from gnv2_nas.workflows.profile.results import Sizes
    from gnv2_nas.workflows.profile.sustained import Sustained


def describe_pace(result: Sizes) -> Iterator[str]:
    """Yield sentences on the pace of a profile; none without pauses."""
    pace = result.measurements[0].pace
    if pace is None:
        return
    period = 1e3 / pace
    yield f"pace: one call every {period:.1f} ms ({pace:g} a second), and pauses in between"
    for name, measurement in zip(result.networks, result.measurements, strict=True):
        if measurement.raw_ms > period:
            yield (
                f"{name}: a call takes {measurement.raw_ms:.1f} ms, longer than the {period:.1f} "
                "ms to the next frame: there are no pauses"
            )


def print_sustained(result: Sustained) -> None:
    """Print the first and the last minute of each network."""
    rows = []
    for name, found in zip(result.networks, result.measurements, strict=True):
        first, last = found.minutes[0], found.minutes[-1]
        low, high = found.ci95
        heat = "–" if last.celsius is None else f"{last.celsius:.0f}"
        rows.append(
            (
                name, f"{first.ms:.2f}", f"{last.ms:.2f}", f"{found.ratio:.3f}",
                f"{low:.3f}–{high:.3f}", found.verdict, heat,
            )
        )  # fmt: skip
    columns = ("network", "first min ms", "last min ms", "ratio", "95 %", "last minute", "°C")
    print_table(columns, rows)
    run = result.measurements[0]
    pace = "without pauses" if run.pace is None else f"at {run.pace:g} calls a second"
    say(
        f"device {run.device}: {run.fingerprint.cpu}, {run.fingerprint.runtime}, {pace}, "
        f"{run.clock} clock; ms: median of the minute"
    )
    if known := run.conditions.describe():
        say(f"conditions: {known}")
    for name, found in zip(result.networks, result.measurements, strict=True):
        if found.reason:
            say(f"{name}: {found.reason}")
    say("ratio: last minute over first, from sessions of 10 s; SAME: within 2 %.")
