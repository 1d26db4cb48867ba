"""Our TFLite files against those of Google's converter: to make, to load, to run, paired."""

from __future__ import annotations

import os
import statistics
import subprocess
from collections.abc import Iterable
from functools import partial
from pathlib import Path

from rich.table import Table

from benchmarks.networks import compared_networks, random_networks
from benchmarks.paired import loader, paired
from benchmarks.table import median_seconds, milliseconds, table
from gnv2_nas.arch import Architecture
from gnv2_nas.runner.timing import RuntimeFiles
from gnv2_nas.runtimes.litert_runtime import SUFFIX, LiteRt
from gnv2_nas.runtimes.parity import difference, expected_logits

ROOT = Path(__file__).parents[1]
ENVIRONMENT = ROOT / ".venv-litert-torch"
"""litert-torch pins packages that this project needs newer; see docs/runtimes.md."""
CONVERTED = ENVIRONMENT / "converted"
"""What it has converted; it takes 25 to 100 seconds for a network."""

Row = tuple[str, str, str, str, str]


def run() -> Table:
    rows: list[Row] = [
        ("writing, median of 10 random networks", milliseconds(_writing()), "", "", "")
    ]
    networks = compared_networks()
    if (ENVIRONMENT / "bin").exists():
        _convert(networks.values())
        rows.append(_converting(networks.values()))
        for name, arch in networks.items():
            rows += _running(name, arch)
    else:
        rows.append(("to compare with litert-torch: make litert-torch", "", "", "", ""))
    columns = ("", "ours", "litert-torch", "ours ÷ theirs", "95 %")
    return table("TFLite files in LiteRT (promised: 300 ms to write, at most 1.0)", columns, rows)


def _writing() -> float:
    spaces = ("ghostnetv2", "mobile")
    networks = [arch for space in spaces for arch in random_networks(space, 5, 0)]
    write = LiteRt().write
    return statistics.median(median_seconds(partial(write, arch), 3) for arch in networks)


def _convert(networks: Iterable[Architecture]) -> None:
    """Has litert-torch convert those it has not yet."""
    CONVERTED.mkdir(exist_ok=True)
    for arch in networks:
        (CONVERTED / f"{arch.id}.json").write_text(arch.to_json(), encoding="utf-8")
    script = ROOT / "benchmarks" / "convert_with_litert_torch.py"
    subprocess.run(
        [ENVIRONMENT / "bin" / "python", script, CONVERTED],
        env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, check=True,
    )  # fmt: skip


def _official(arch: Architecture) -> RuntimeFiles:
    return {SUFFIX: (CONVERTED / f"{arch.id}{SUFFIX}").read_bytes()}


def _converting(networks: Iterable[Architecture]) -> Row:
    files = [CONVERTED / f"{arch.id}.seconds" for arch in networks]
    theirs = statistics.median(float(file.read_text()) for file in files)
    ours = statistics.median(median_seconds(partial(LiteRt().write, a), 3) for a in networks)
    cells = milliseconds(ours), milliseconds(theirs), f"{ours / theirs:.2g}"
    return ("writing those below, median", *cells, "")


def _running(name: str, arch: Architecture) -> list[Row]:
    runtime = LiteRt()
    files = {"theirs": _official(arch), "ours": runtime.write(arch)}
    found = paired(
        {owner: loader(runtime, file) for owner, file in files.items()},
        timer=runtime.timer,
    )
    ours, theirs = found["ours"], found["theirs"]
    expected = expected_logits(arch)
    apart = {o: difference(runtime.load(f, 1).logits(), expected) for o, f in files.items()}
    loading = {o: median_seconds(partial(runtime.load, f, 1), 5) for o, f in files.items()}
    return [
        (
            name, f"{ours.ms:.2f} ms", f"{theirs.ms:.2f} ms", f"{ours.ratio:.3f}",
            f"{ours.low:.3f}–{ours.high:.3f}",
        ),
        ("  logits apart from torch's", f"{apart['ours']:.1g}", f"{apart['theirs']:.1g}", "", ""),
        (
            "  loading", milliseconds(loading["ours"]), milliseconds(loading["theirs"]),
            f"{loading['ours'] / loading['theirs']:.2f}", "",
        ),
    ]  # fmt: skip
