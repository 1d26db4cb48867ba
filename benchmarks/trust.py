"""How well each quality estimator ranks networks: Kendall's τ with trained accuracies.

`make bench ARGS=trust` uses digits and the tiny space. It trains a supernet, fits a predictor of
its accuracy, and trains twelve networks with two seeds. `python -m benchmarks.trust DIR --space
NAME` does the same on other images, for example those of `benchmarks.glyphs` (with `--letters`) or
`benchmarks.emoji`, and keeps its files in a folder to continue from.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

import msgspec
from rich.console import Console
from rich.table import Table

from benchmarks.table import machine, table
from gnv2_nas.data.augmentation import DIGITS_AUGMENTATION
from gnv2_nas.quality import QualityContext
from gnv2_nas.quality.predictor.model import save_predictor
from gnv2_nas.quality.trust.check import TrustPlan, TrustProgress, run_trust_check
from gnv2_nas.quality.trust.panel import TrustPanel
from gnv2_nas.quality.trust.panel_file import save_trust
from gnv2_nas.report.trust_table import TRUST_COLUMNS, trust_caption, trust_rows
from gnv2_nas.training import TrainingPoint, default_recipe, train_supernet
from gnv2_nas.units import format_duration
from gnv2_nas.workflows.predictor import evaluate_and_fit
from gnv2_nas.workflows.trust import TrustRequest, make_plan, train_all

SUPERNET = Path("supernet.safetensors")
PREDICTOR = Path("predictor.json")
PREDICTOR_NETWORKS = 100
LOG_EVERY_SECONDS = 30.0
LETTERS = msgspec.structs.replace(DIGITS_AUGMENTATION, padding="reflection")


class Options(NamedTuple):
    """Settings of the benchmark."""

    request: TrustRequest
    supernet_epochs: float | None = None
    letters: bool = False
    """Whether the images show letters, which are augmented like digits: never mirrored."""
    predictor_networks: int = PREDICTOR_NETWORKS


def run() -> Table:
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        return trust_table(Options(TrustRequest(data="digits", space="tiny")))


def trust_table(options: Options) -> Table:
    """Run a check in the working directory; return its panel as a table."""
    checked = options.request.check()
    plan = make_plan(checked)
    if options.letters:
        plan = replace(plan, dataset=replace(plan.dataset, augmentation=LETTERS))
    accuracies, times = _make_accuracies(plan, options)
    train = partial(train_all, data=checked.request.data, observer=_Log().trainings)
    panel = run_trust_check(plan, (*checked.estimators, *accuracies), train)
    save_trust(panel)
    times.append(f"networks trained in {format_duration(panel.seconds)}")
    title = f"{trust_caption(panel)}.\n{', '.join(times)}; {panel.data_free_sentence()}"
    return table(title, TRUST_COLUMNS, [*trust_rows(panel), *_accuracy_rows(panel)])


def _make_accuracies(plan: TrustPlan, options: Options) -> tuple[list[str], list[str]]:
    """Make a supernet and a predictor; return the estimators to check, and what took how long."""
    if options.supernet_epochs == 0:
        return [], []
    seconds = _supernet(plan, options)
    start = time.perf_counter()
    _predictor(plan, options)
    times = [
        f"supernet trained in {format_duration(seconds)}",
        f"{options.predictor_networks} networks scored with it in "
        f"{format_duration(time.perf_counter() - start)}",
    ]
    return ["train", f"supernet:{SUPERNET}", f"predictor:{PREDICTOR}"], times


def _supernet(plan: TrustPlan, options: Options) -> float:
    """Train the supernet unless it exists; return the duration of its training."""
    from gnv2_nas.nn.supernet.supernet import read_supernet_record

    if not SUPERNET.exists():
        recipe = default_recipe(plan.dataset, supernet=True, epochs=options.supernet_epochs)
        train_supernet(plan.space, plan.dataset, recipe, SUPERNET, observer=_Log().supernet)
    return read_supernet_record(SUPERNET).seconds


def _predictor(plan: TrustPlan, options: Options) -> None:
    context = QualityContext(plan.space, plan.dataset, seed=options.request.seed + 1)
    predictor = evaluate_and_fit(
        f"supernet:{SUPERNET}", context, options.predictor_networks,
        PREDICTOR.with_suffix(".jsonl"), _Log().predictor,
    )  # fmt: skip
    save_predictor(predictor, PREDICTOR)


def _accuracy_rows(panel: TrustPanel) -> list[tuple[str, ...]]:
    accuracies = sorted(network.accuracy for network in panel.networks)
    spread = f"{accuracies[0]:.1f} to {accuracies[-1]:.1f} %"
    return [("accuracy of the networks", spread, "", "", "")]


class _Log:
    """Prints progress to standard error at intervals."""

    def __init__(self) -> None:
        self._last = float("-inf")

    def trainings(self, progress: TrustProgress) -> None:
        self._say(f"training {progress.done + 1} of {progress.total}", progress.seconds_left)

    def supernet(self, point: TrainingPoint) -> None:
        self._say(f"supernet, step {point.step} of {point.steps}", point.seconds_left)

    def predictor(self, share: float) -> None:
        self._say(f"scoring networks for the predictor, {share:.0%}", None)

    def _say(self, what: str, left: float | None) -> None:
        if time.monotonic() - self._last >= LOG_EVERY_SECONDS:
            self._last = time.monotonic()
            ending = f", {format_duration(left)} left" if left is not None else ""
            print(what + ending, file=sys.stderr, flush=True)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.trust")
    parser.add_argument("data", metavar="DIR", help="class folders, or digits")
    parser.add_argument("--space", default="tiny")
    parser.add_argument("--budget", default="")
    parser.add_argument("--networks", type=int, default=12)
    parser.add_argument("--in-band", type=int, help="networks near the budget (default: half)")
    parser.add_argument("--resolution", type=int, help="train at a lower resolution")
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--epochs", type=float, help="length of each network's training")
    parser.add_argument("--supernet-epochs", type=float, help="0 leaves the supernet out")
    parser.add_argument(
        "--letters",
        action="store_true",
        help="do not mirror images (benchmarks.glyphs)",
    )
    parser.add_argument("--predictor-networks", type=int, default=PREDICTOR_NETWORKS)
    parser.add_argument("--folder", type=Path, default=Path(), help="folder for all files")
    given = parser.parse_args(arguments)
    data = given.data if given.data == "digits" else str(Path(given.data).resolve())
    space = str(Path(given.space).resolve()) if Path(given.space).is_file() else given.space
    request = TrustRequest(
        data, space, given.budget, given.networks, given.seeds, given.epochs,
        in_band=given.in_band, resolution=given.resolution,
    )  # fmt: skip
    given.folder.mkdir(parents=True, exist_ok=True)
    console = Console(width=None if sys.stdout.isatty() else 140, highlight=False)
    console.print(machine(), markup=False)
    with contextlib.chdir(given.folder):
        options = Options(request, given.supernet_epochs, given.letters, given.predictor_networks)
        console.print(trust_table(options))


if __name__ == "__main__":
    main()
