"""`python -m benchmarks.landscapes measure`: Zen-score and latency of a few hundred networks.

The data that the truth of the landscape `ghostnetv2` is fitted to. Two thirds are drawn beforehand;
the rest are where the truth fitted so far has its front, because that is where a search goes and
where a fitted truth is exploited if it is wrong. Appends to the file and goes on from it.
"""

from __future__ import annotations

import csv
import io
import math
import random
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from benchmarks.landscapes.drawing import Params, draw_params, to_digits
from gnv2_nas.devices import Device
from gnv2_nas.files.writing import write_atomically
from gnv2_nas.measurement import measure, open_device
from gnv2_nas.measurement.calibration import ensure_calibrated
from gnv2_nas.quality.proxies.zen import ZenScore
from gnv2_nas.space import SearchSpace, load_space

FILE = Path(__file__).with_name("ghostnetv2.csv")
SPACE = Path(__file__).with_name("ghostnetv2.yaml")
"""The default space as it was when the networks of `FILE` were drawn."""
BATCH = 8
DRAWN_SHARE = 2 / 3
SECONDS_PER_NETWORK = 1.5


class Row(NamedTuple):
    """One measured network."""

    genotype: str
    """See `drawing.to_digits`."""
    zen_first: float
    """Zen-score of one draw of weights and images; their mean is what a search sees."""
    zen_second: float
    log_ratio: float
    """Natural logarithm of the latency relative to stock GhostNetV2 1.0."""
    half_width: float
    """Of the 95 % interval of `log_ratio`."""
    origin: str
    """`drawn`, or `front` where the truth fitted so far had its front."""


def read_rows(file: Path = FILE) -> list[Row]:
    """Everything measured so far."""
    if not file.exists():
        return []
    with file.open(newline="", encoding="utf-8") as lines:
        _, *rows = csv.reader(lines)
    return msgspec.convert(rows, list[Row], strict=False)


def measure_networks(count: int, file: Path = FILE, seed: int = 0) -> None:
    """Measure until `file` has `count` networks, in batches that share rounds."""
    space, device = load_space(SPACE), open_device("cpu")
    ensure_calibrated(device)
    rows = read_rows(file)
    while len(rows) < count:
        rng = random.Random(f"{seed}/{len(rows)}")
        origin = "drawn" if len(rows) < DRAWN_SHARE * count else "front"
        chosen = _drawn(space, rng) if origin == "drawn" else _near_front(space, rows, rng)
        rows += _measured(space, device, chosen, origin)
        _write(file, rows)
        print(f"{len(rows)} of {count} networks", flush=True)


def _drawn(space: SearchSpace, rng: random.Random) -> list[Params]:
    return [draw_params(space, rng) for _ in range(BATCH)]


def _near_front(space: SearchSpace, rows: list[Row], rng: random.Random) -> list[Params]:
    """Networks spread over the front of the truth fitted to `rows`."""
    from benchmarks.landscapes.fronts import evolve_front
    from benchmarks.landscapes.ghostnetv2 import Ghostnetv2

    fitted = Ghostnetv2(rows)
    return rng.sample(evolve_front(fitted.losses_of, space, rng), BATCH)


def _measured(
    space: SearchSpace, device: Device, chosen: Sequence[Params], origin: str
) -> list[Row]:
    networks = [space.decode(params) for params in chosen]
    measured = measure(networks, device, seconds_per_network=SECONDS_PER_NETWORK)
    rows = []
    for params, network, latency in zip(chosen, networks, measured, strict=True):
        first, second = (ZenScore(draws=1, seed=seed).score(network) for seed in range(2))
        half_width = math.log(latency.ratio_ci95[1] / latency.ratio_ci95[0]) / 2
        digits = to_digits(space, params)
        rows.append(Row(digits, first, second, math.log(latency.ratio), half_width, origin))
    return rows


def _write(file: Path, rows: Sequence[Row]) -> None:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(Row._fields)
    writer.writerows(
        (row.genotype, *(f"{value:.4f}" for value in row[1:5]), row.origin) for row in rows
    )
    write_atomically(file, text.getvalue().encode())
