"""Does recipe v3 pay? The largest network of a space, with the same images, seeds and steps.

`python -m benchmarks.recipes DATA … [--space S] [--resolution R] [--seeds 3] [--epochs E]` takes
folders of images, such as those that `benchmarks.glyphs` and `benchmarks.emoji` write;
`python -m benchmarks recipes` trains on digits. The order of the two trainings alternates.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Sequence

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor

from benchmarks.table import machine
from gnv2_nas.arch import Architecture
from gnv2_nas.data import Dataset, load_dataset
from gnv2_nas.space import load_space
from gnv2_nas.stats.intervals import Z95
from gnv2_nas.training import default_recipe, train_network
from gnv2_nas.training.recipe import RecipeName
from gnv2_nas.training.task import find_correct

ORDER: tuple[RecipeName, RecipeName] = ("v2", "v3")


def run(arguments: Sequence[str] = ()) -> Table:
    options = _options(arguments)
    space = load_space(options.space)
    arch = space.decode(space.at_resolution(space.largest(), options.resolution))
    title = f"largest of {options.space}, {arch.resolution} px, {options.seeds} seeds"
    table = Table("data", "v2 %", "v3 %", "gain, points", "of each seed", "time v3 / v2",
                  title=title)  # fmt: skip
    for name in options.data or ["digits"]:
        dataset = load_dataset(name, options.resolution)
        table.add_row(dataset.name, *_compare(arch, dataset, options.seeds, options.epochs))
    table.caption = "interval: 95 % over the held-out images, of the mean over the seeds"
    return table


def _compare(arch: Architecture, dataset: Dataset, seeds: int, epochs: float | None) -> list[str]:
    correct: dict[str, list[Tensor]] = {name: [] for name in ORDER}
    seconds: dict[str, list[float]] = {name: [] for name in ORDER}
    for seed in range(seeds):
        for name in ORDER if seed % 2 == 0 else ORDER[::-1]:
            recipe = default_recipe(dataset, epochs=epochs, name=name).replace(evaluations=1)
            result = train_network(arch, dataset, recipe, None, seed=seed, device="cpu")
            correct[name].append(
                find_correct(result.model, dataset.val, arch.resolution, dataset.preprocessing)
            )
            seconds[name].append(result.seconds)
            print(dataset.name, seed, name, f"{result.accuracy:.4f}", f"{result.seconds:.0f} s",
                  file=sys.stderr, flush=True)  # fmt: skip
    v2, v3 = (100 * torch.stack(correct[name]).double() for name in ORDER)
    gains = (v3 - v2).mean(0)
    half = Z95 * gains.std().item() / len(gains) ** 0.5
    low, high = gains.mean().item() - half, gains.mean().item() + half
    ratios = [late / early for early, late in zip(seconds["v2"], seconds["v3"], strict=True)]
    return [
        f"{v2.mean().item():.2f}", f"{v3.mean().item():.2f}",
        f"{gains.mean().item():+.2f} [{low:+.2f}, {high:+.2f}]",
        " ".join(f"{gain:+.2f}" for gain in (v3 - v2).mean(1).tolist()),
        f"{statistics.median(ratios):.2f}",
    ]  # fmt: skip


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.recipes")
    parser.add_argument("data", nargs="*", metavar="DATA", help="folders (default: digits)")
    parser.add_argument("--space", default="tiny")
    parser.add_argument("--resolution", type=int, default=32)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=float)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    console = Console(width=120, highlight=False)
    console.print(machine(), markup=False)
    console.print(run(sys.argv[1:]))
