"""Does recipe v3 pay? One network of a space, with the same images, seeds and steps.

`python -m benchmarks.recipes DATA … [--arms v2 v3 …] [--network N] [--seeds 3] [--epochs E]` takes
folders of images, such as those that `benchmarks.glyphs` and `benchmarks.emoji` write;
`python -m benchmarks recipes` trains on digits. Every arm is compared with the first one, paired
by seed and image. With `--folder` the weights are kept, and what is finished is not trained again.
The order of the arms alternates.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor

from benchmarks.table import machine
from gnv2_nas.arch import Architecture
from gnv2_nas.data import Dataset, load_dataset
from gnv2_nas.nn import build_model, load_weights
from gnv2_nas.space import load_space
from gnv2_nas.stats.intervals import Z95
from gnv2_nas.training import default_recipe, train_network
from gnv2_nas.training.history import decode_history, history_path
from gnv2_nas.training.recipe import RecipeName
from gnv2_nas.training.task import find_correct
from gnv2_nas.training.teacher import Teacher, read_teacher


class Arm(NamedTuple):
    """One of the trainings that are compared."""

    recipe: RecipeName
    longer: bool = False
    """Whether it takes `--longer` times the steps."""
    taught: bool = False
    """Whether the largest network of the space, trained with v2, is its teacher."""


ARMS = {
    "v2": Arm("v2"),
    "v3": Arm("v3"),
    "v2-longer": Arm("v2", longer=True),
    "v2-taught": Arm("v2", taught=True),
    "v3-taught": Arm("v3", taught=True),
}


class Trained(NamedTuple):
    """Which held-out images are classified correctly, bool (N,), and what the training took."""

    correct: Tensor
    seconds: float


def run(arguments: Sequence[str] = ()) -> Table:
    options = _options(arguments)
    if options.folder is not None:
        options.folder.mkdir(parents=True, exist_ok=True)
    space = load_space(options.space)
    networks = {
        name: space.decode(space.at_resolution(genes, options.resolution))
        for name, genes in (("largest", space.largest()), ("centre", space.centre()),
                            ("smallest", space.smallest()))
    }  # fmt: skip
    base = options.arms[0]
    table = Table(
        "data", "arm", "accuracy, %", f"gain over {base}, points", "of each seed", "time",
        title=f"{options.network} of {options.space}, {options.resolution} px, "
        f"{options.seeds} seeds",
    )  # fmt: skip
    for name in options.data or ["digits"]:
        dataset = load_dataset(name, options.resolution)
        found = _train_all(networks[options.network], networks["largest"], dataset, options)
        for arm, trained in found.items():
            table.add_row(dataset.name, arm, *_compare(found[base], trained))
    table.caption = "interval: 95 % over the held-out images, of the mean over the seeds"
    return table


def _train_all(
    arch: Architecture, largest: Architecture, dataset: Dataset, options: argparse.Namespace
) -> dict[str, list[Trained]]:
    """Train every arm with every seed; arm → trainings in the order of the seeds."""
    teacher = None
    if any(ARMS[arm].taught for arm in options.arms):
        file = options.folder / f"{dataset.name}-teacher.safetensors"
        _train(largest, dataset, ARMS["v2"], None, 0, file, options)
        teacher = read_teacher(file, dataset, options.resolution)
    found: dict[str, list[Trained]] = {arm: [] for arm in options.arms}
    for seed in range(options.seeds):
        for arm in options.arms if seed % 2 == 0 else options.arms[::-1]:
            file = options.folder and options.folder / f"{dataset.name}-{arm}-{seed}.safetensors"
            taught_by = teacher if ARMS[arm].taught else None
            found[arm].append(_train(arch, dataset, ARMS[arm], taught_by, seed, file, options))
    return found


def _train(
    arch: Architecture,
    dataset: Dataset,
    arm: Arm,
    teacher: Teacher | None,
    seed: int,
    file: Path | None,
    options: argparse.Namespace,
) -> Trained:
    arch = arch.replace(num_classes=len(dataset.classes))
    if file is not None and file.exists():
        model = load_weights(build_model(arch), file).eval()
        seconds = decode_history(history_path(file).read_text())[-1].seconds
    else:
        recipe = default_recipe(
            dataset, epochs=options.epochs, name=arm.recipe, taught=arm.taught
        ).replace(evaluations=1)
        if arm.longer:
            recipe = default_recipe(dataset, steps=round(options.longer * recipe.steps))
        result = train_network(
            arch, dataset, recipe, file, teacher=teacher, seed=seed, device="cpu"
        )
        model, seconds = result.model, result.seconds
    correct = find_correct(model, dataset.val, arch.resolution, dataset.preprocessing)
    name = file.stem if file else f"{dataset.name}-{arm.recipe}-{seed}"
    print(f"{name}: {correct.double().mean():.4f}, {seconds:.0f} s", file=sys.stderr, flush=True)
    return Trained(correct, seconds)


def _compare(base: list[Trained], other: list[Trained]) -> list[str]:
    """Accuracy, gain with interval, gain of each seed, and ratio of the times."""
    first, second = (
        100 * torch.stack([each.correct for each in trained]).double() for trained in (base, other)
    )
    gains = (second - first).mean(0)
    half = Z95 * gains.std().item() / len(gains) ** 0.5
    low, high = gains.mean().item() - half, gains.mean().item() + half
    ratios = [late.seconds / early.seconds for early, late in zip(base, other, strict=True)]
    return [
        f"{second.mean().item():.2f}",
        f"{gains.mean().item():+.2f} [{low:+.2f}, {high:+.2f}]",
        " ".join(f"{gain:+.2f}" for gain in (second - first).mean(1).tolist()),
        f"{statistics.median(ratios):.2f}",
    ]


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.recipes")
    parser.add_argument("data", nargs="*", metavar="DATA", help="folders (default: digits)")
    parser.add_argument("--arms", nargs="+", choices=ARMS, default=["v2", "v3"])
    parser.add_argument("--longer", type=float, default=2.0, help="factor of v2-longer's steps")
    parser.add_argument("--space", default="tiny")
    parser.add_argument("--network", choices=("largest", "centre", "smallest"), default="largest")
    parser.add_argument("--resolution", type=int, default=32)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=float)
    parser.add_argument("--folder", type=Path, help="where weights are kept (teachers need it)")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    console = Console(width=120, highlight=False)
    console.print(machine(), markup=False)
    console.print(run(sys.argv[1:]))
