"""What `gnv2-nas profile --memory` prints."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gnv2_nas.cli.console import print_table, say

if TYPE_CHECKING:
    from gnv2_nas.workflows.profile.results import Memories

_COLUMNS = {
    "weights MB": "weight_bytes",
    "peak act. MB": "peak_activation_bytes",
    "memory MB": "memory_bytes",
    "file MB": "artifact_bytes",
    "peak memory MB": "peak_memory_bytes",
}


def print_memories(result: Memories) -> None:
    """Print computed and measured memory of each network."""
    rows = [
        (
            row["network"], *(_format_megabytes(row[key]) for key in _COLUMNS.values()),
            f"{row['peak_memory_bytes'] / row['memory_bytes']:.2f}" if row["memory_bytes"] else "–",
        )
        for row in result.to_json()
    ]  # fmt: skip
    print_table(("network", *_COLUMNS, "÷ memory"), rows)
    machine = result.fingerprint
    say(
        f"device {result.device}: {machine.cpu}, {machine.runtime}, threads {result.threads}, "
        f"{result.precision}, batch 1"
    )
    say("memory: weights and peak feature maps in float32, by arithmetic;")
    say("peak memory: resident while the network runs, without what the runtime itself needs.")


def _format_megabytes(size: float | None) -> str:
    return "–" if size is None else f"{size / 1e6:.2f}"
