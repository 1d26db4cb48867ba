"""How long the command line takes to answer when there is nothing to compute."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from rich.table import Table

from benchmarks.table import median_seconds, milliseconds, table

COMMANDS = (
    "--help",
    "search --help",
    "spaces",
    "spaces mobile",
    "devices",
    "search --budget 300",
    "search --budget 1MFLOPs",
    "search --budget 300MFLOPs --space nowhere",
    "profile ghostnetv3",
    "report nothing",
    "export ghostnetv2-1.0 --weights missing.pth",
)


def run() -> Table:
    script = Path(sys.executable).with_name("gnv2-nas")
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for command in COMMANDS:
            argv = [str(script), *command.split()]

            def call(argv: list[str] = argv) -> None:
                subprocess.run(argv, cwd=folder, capture_output=True, check=False)

            rows.append((f"gnv2-nas {command}", milliseconds(median_seconds(call, 7))))
    floor = median_seconds(lambda: subprocess.run([sys.executable, "-c", ""], check=True), 7)
    rows.append(("starting Python (the floor)", milliseconds(floor)))
    return table("Time to answer (promised: 600 ms)", ("", "median"), rows)
