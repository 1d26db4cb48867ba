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
from time import process_time
from typing import NamedTuple

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor

from benchmarks.table import machine
from gnv2_nas.arch import Architecture
from gnv2_nas.data import Dataset, load_dataset
from gnv2_nas.nn import Network, build_model, load_weights
from gnv2_nas.space import load_space
from gnv2_nas.stats.intervals import Z95
from gnv2_nas.training import default_recipe, train_network
from gnv2_nas.training.recipe import Recipe, RecipeName
from gnv2_nas.training.task import find_correct
from gnv2_nas.training.teacher import Teacher
from gnv2_nas.workflows.teachers import read_teacher


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


TIMED_STEPS = 16


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
        bench = _Bench(networks[options.network], networks["largest"], dataset, options)
        found = bench.train_all()
        seconds = bench.time_arms()
        for arm, correct in found.items():
            time = f"{seconds[arm] / seconds[base]:.2f}"
            table.add_row(dataset.name, arm, *_compare(found[base], correct), time)
    table.caption = (
        "interval: 95 % over the held-out images, of the mean over the seeds; time: processor time "
        "of all steps"
    )
    return table


class _Bench:
    """All trainings of one data set."""

    def __init__(
        self, arch: Architecture, largest: Architecture, dataset: Dataset,
        options: argparse.Namespace,
    ) -> None:  # fmt: skip
        self._arch = arch.replace(num_classes=len(dataset.classes))
        self._dataset = dataset
        self._options = options
        self._teacher: Teacher | None = None
        if any(ARMS[arm].taught for arm in options.arms):
            file = options.folder / f"{dataset.name}-teacher.safetensors"
            if not file.exists():
                train_network(largest, dataset, self._recipe(ARMS["v2"]), file, device="cpu")
            self._teacher = read_teacher(file, dataset, options.resolution)

    def train_all(self) -> dict[str, Tensor]:
        """Train every arm with every seed.

        Returns:
            Arm → which held-out images are classified correctly, bool (seeds, images).
        """
        found: dict[str, list[Tensor]] = {arm: [] for arm in self._options.arms}
        for seed in range(self._options.seeds):
            for arm in found if seed % 2 == 0 else reversed(found):
                found[arm].append(self._train(arm, seed))
        return {arm: torch.stack(correct) for arm, correct in found.items()}

    def time_arms(self) -> dict[str, float]:
        """Arm → processor time of all steps, seconds, from some steps in alternation."""
        seconds: dict[str, list[float]] = {arm: [] for arm in self._options.arms}
        for _ in range(3):
            for arm, times in seconds.items():
                begun, more = self._time(arm, 1), self._time(arm, 1 + TIMED_STEPS)
                steps = self._recipe(ARMS[arm]).steps
                times.append((more - begun) / TIMED_STEPS * steps)
        return {arm: statistics.median(times) for arm, times in seconds.items()}

    def _train(self, arm: str, seed: int) -> Tensor:
        arch, dataset, folder = self._arch, self._dataset, self._options.folder
        file = folder and folder / f"{dataset.name}-{arm}-{seed}.safetensors"
        if file is not None and file.exists():
            model = load_weights(build_model(arch), file).eval()
        else:
            model = self._run(arm, self._recipe(ARMS[arm]), file, seed)
        correct = find_correct(model, dataset.val, arch.resolution, dataset.preprocessing)
        accuracy = correct.double().mean().item()
        print(f"{dataset.name}-{arm}-{seed}: {accuracy:.4f}", file=sys.stderr, flush=True)
        return correct

    def _time(self, arm: str, steps: int) -> float:
        """Processor time of a training of few steps, its start included."""
        recipe, start = self._recipe(ARMS[arm]).replace(steps=steps), process_time()
        self._run(arm, recipe, None, 0)
        return process_time() - start

    def _run(self, arm: str, recipe: Recipe, file: Path | None, seed: int) -> Network:
        teacher = self._teacher if ARMS[arm].taught else None
        return train_network(
            self._arch, self._dataset, recipe, file, teacher=teacher, seed=seed, device="cpu"
        ).model

    def _recipe(self, arm: Arm) -> Recipe:
        dataset, steps = self._dataset, None
        if arm.longer:
            usual = default_recipe(dataset, epochs=self._options.epochs)
            steps = round(self._options.longer * usual.steps)
        epochs = None if steps else self._options.epochs
        return default_recipe(
            dataset, epochs=epochs, steps=steps, name=arm.recipe, taught=arm.taught
        ).replace(evaluations=1)


def _compare(base: Tensor, other: Tensor) -> list[str]:
    """Accuracy, gain with interval, and gain of each seed; bool (seeds, images) both."""
    difference = 100 * (other.double() - base.double())
    gains = difference.mean(0)
    half = Z95 * gains.std().item() / len(gains) ** 0.5
    low, high = gains.mean().item() - half, gains.mean().item() + half
    return [
        f"{100 * other.double().mean().item():.2f}",
        f"{gains.mean().item():+.2f} [{low:+.2f}, {high:+.2f}]",
        " ".join(f"{gain:+.2f}" for gain in difference.mean(1).tolist()),
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
