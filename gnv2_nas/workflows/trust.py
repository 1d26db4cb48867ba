"""Checking how far quality scores can be trusted, by training a sample of networks."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from gnv2_nas.data import check_source, find_classes
from gnv2_nas.errors import InputError, TrainingError
from gnv2_nas.files.outputs import check_outputs
from gnv2_nas.files.writing import check_writable
from gnv2_nas.quality.accuracy.trained import ACCURACIES, AccuracyRecord
from gnv2_nas.quality.base import ESTIMATORS, QualitySpec
from gnv2_nas.quality.registry import check_estimator
from gnv2_nas.quality.trust.networks import NetworkSample, parse_band_budget, sample_networks
from gnv2_nas.quality.trust.panel import TrustPanel
from gnv2_nas.quality.trust.panel_file import (
    PANEL_FOLDER,
    TRUST,
    accuracies_path,
    save_trust,
    trust_path,
)
from gnv2_nas.search.engine.cluster import check_workers
from gnv2_nas.search.study import defaults
from gnv2_nas.space import SearchSpace, load_space
from gnv2_nas.units import format_quantity
from gnv2_nas.workflows.events import Events, Message, TrustCheckProgress, ignore, report_task

if TYPE_CHECKING:
    from gnv2_nas.quality.trust.check import Observer, Trainings, TrustPlan

SHORTENING = 2
"""Trainings of a check are this much shorter than usual. The order of the networks is the same."""


class TrustRequest(msgspec.Struct, frozen=True):
    """The options of `gnv2-nas quality check`."""

    data: str
    """A folder with one folder for each class, or "digits"."""
    space: str
    budget: str = ""
    """Middle of the budget band, such as "4MFLOPs"; "" for the median of the space."""
    networks: int = 12
    seeds: int = 2
    """Trainings of each network."""
    epochs: float | None = None
    """Length of a training; None for half of the usual length."""
    estimators: tuple[str, ...] = ()
    """Checked besides all data-free ones, as `--quality` takes them."""
    seed: int = 0
    """Seed of the networks that are drawn."""
    in_band: int | None = None
    """How many of the networks come from the budget band; None for half."""
    resolution: int | None = None
    """Width of the training images for the largest resolution of the space; smaller ones are
    scaled alike. None trains every network at its own resolution."""
    workers: int = defaults.WORKERS
    """Trainings at a time."""
    ray: str = ""
    """Ray cluster that they run on, "auto" or ray://HOST:PORT; "" starts Ray on this machine."""

    def check(self) -> CheckedTrust:
        """Check every option without reading an image.

        Raises:
            InputError: an option is wrong; the message says which.
            OutputError: the panel cannot be written.
        """
        check_workers(self.workers, self.ray)
        if self.seeds < 1:
            raise InputError(f"--seeds must be 1 or more, but got {self.seeds}")
        if self.epochs is not None and not self.epochs > 0:
            raise InputError(f"--epochs must be above 0, but got {self.epochs:g}")
        for spec in self.estimators:
            if self.resolution is not None and _knows_only_the_space(spec):
                raise InputError(
                    f"--resolution: {spec} has no accuracies at resolutions below those of the "
                    "space; leave one of the two out"
                )
            check_estimator(spec)
        budget = parse_band_budget(self.budget)
        check_source(self.data)
        space = load_space(self.space).with_classes(len(find_classes(self.data)))
        drawn = sample_networks(
            space, self.networks, budget, self.seed,
            in_band=self.in_band, resolution=self.resolution,
        )  # fmt: skip
        check_writable(Path(PANEL_FOLDER))
        panel = trust_path(space.name)
        check_outputs({panel: TRUST, accuracies_path(panel): ACCURACIES}, [self.space], "--space")
        return CheckedTrust(self, space, drawn, (*list_data_free(), *self.estimators))


class CheckedTrust(msgspec.Struct, frozen=True):
    """A trust check that can start."""

    request: TrustRequest
    space: SearchSpace
    """With the classes of the data."""
    drawn: NetworkSample
    estimators: tuple[str, ...]


def _knows_only_the_space(spec: str) -> bool:
    """Whether an estimator has accuracies of networks inside a supernet of the space only."""
    parsed = QualitySpec.parse(spec)
    info = ESTIMATORS.get(parsed.name)
    return parsed.file is not None and info is not None and info.needs_data


def list_data_free() -> tuple[str, ...]:
    """Return the names of the estimators that need neither images nor a file."""
    return tuple(
        name for name, info in ESTIMATORS.items() if not (info.needs_data or info.needs_file)
    )


def run_trust(checked: CheckedTrust, events: Events = ignore) -> TrustPanel:
    """Train the networks, compare every estimator with their accuracies, and keep the panel.

    Raises:
        DataError: the images cannot be used.
        TrainingError: a training failed; the finished ones are kept.
        KeyboardInterrupt: Ctrl-C; the same request continues with the missing trainings.
    """
    from gnv2_nas.quality.trust.check import run_trust_check

    request, plan = checked.request, make_plan(checked, events)
    for line in (*plan.dataset.report.lines(), *_describe_plan(plan)):
        events(Message(line))
    try:
        panel = run_trust_check(
            plan,
            checked.estimators,
            partial(
                train_all, data=request.data, workers=request.workers, ray=request.ray,
                observer=lambda progress: events(TrustCheckProgress(progress)), events=events,
            ),
        )  # fmt: skip
    except KeyboardInterrupt:
        events(Message("interrupted; run the same command again to run the missing trainings"))
        raise
    events(Message(f"kept in {save_trust(panel)}"))
    return panel


def train_all(
    plan: TrustPlan,
    *,
    data: str,
    workers: int = 1,
    ray: str = "",
    observer: Observer,
    events: Events = ignore,
) -> Trainings:
    """Train each network once with each seed, unless an earlier run has.

    Args:
        data: see `train_networks`, as for `workers`, `ray` and `events`.
        observer: told about every step of a training in this process.

    Raises:
        TrainingError: trainings failed; the others are finished and kept.
    """
    from gnv2_nas.quality.trust.check import TrustTiming
    from gnv2_nas.workflows.trainings import TrainingJob, raise_failures, train_networks

    journal, timing, networks = plan.journal(), TrustTiming(plan), plan.drawn.networks
    found: dict[tuple[int, int], AccuracyRecord] = {}
    for index, seed in plan.list_trainings():
        if known := journal.find(networks[index].trained, seed):
            found[index, seed] = known
            timing.count_training(networks[index], known.seconds)
    missing = [each for each in plan.list_trainings() if each not in found]
    jobs = [
        TrainingJob(networks[index].trained, plan.recipe, plan.dataset.side, seed)
        for index, seed in missing
    ]
    failures = {}
    for job, result in train_networks(
        jobs, data, lambda _: plan.dataset, workers=workers, ray=ray, events=events,
        observer=lambda job, point: observer(timing.progress(*missing[job], point)),
    ):  # fmt: skip
        index, seed = missing[job]
        if isinstance(result, TrainingError):
            failures[f"network {index + 1}, seed {seed}"] = result
        else:
            found[index, seed] = journal.add(
                networks[index].trained, seed, 100 * result.accuracy, result.seconds
            )
            timing.count_training(networks[index], result.seconds)
    raise_failures(failures, len(jobs))
    return [[found[index, seed] for seed in range(plan.seeds)] for index in range(len(networks))]


def make_plan(checked: CheckedTrust, events: Events = ignore) -> TrustPlan:
    """Read the images and choose the recipe of the trainings.

    Raises:
        DataError: the images cannot be used.
    """
    from gnv2_nas.data import load_dataset
    from gnv2_nas.quality.trust.check import TrustPlan
    from gnv2_nas.training import default_recipe

    request, space = checked.request, checked.space
    with report_task(events, f"reading the images of {request.data}") as report:
        largest = request.resolution or max(space.resolutions)
        dataset = load_dataset(request.data, largest, progress=report)
    recipe = default_recipe(dataset, epochs=request.epochs)
    if request.epochs is None:
        recipe = default_recipe(dataset, steps=max(1, recipe.steps // SHORTENING))
    # Only the final accuracy counts here.
    return TrustPlan(space, dataset, checked.drawn, recipe.replace(evaluations=1), request.seeds)


def _describe_plan(plan: TrustPlan) -> list[str]:
    networks = plan.drawn.networks
    inside = sum(each.in_band for each in networks)
    low, high = (format_quantity("macs", bound) for bound in plan.drawn.band)
    lines = [
        f"{len(networks)} networks of space {plan.space.name}, {inside} of them in the band of "
        f"{low} to {high}; each trained {plan.seeds} times: {plan.describe_training()}"
    ]
    if finished := plan.count_finished():
        lines.append(f"continuing after {finished} finished trainings")
    return lines
