"""The trainings of an evaluation: only what is missing is trained, and each can be resumed."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import cast

import msgspec

from gnv2_nas.data import Dataset, load_dataset
from gnv2_nas.errors import TrainingError
from gnv2_nas.evaluation.entrants import Entrant
from gnv2_nas.training import Recipe, TrainingPoint, default_recipe
from gnv2_nas.training.history import state_path
from gnv2_nas.training.recipe import RecipeName
from gnv2_nas.units import format_duration
from gnv2_nas.workflows.evaluation.request import EvaluateRequest
from gnv2_nas.workflows.events import Events, Message, TaskProgress, report_task
from gnv2_nas.workflows.trainings import TrainedNetwork, TrainingJob, train_networks

Observer = Callable[[int, TrainingPoint], None]
"""Called with the number of a training and each of its points."""


class Images:
    """The images at each resolution: every network reads them as it would alone.

    Args:
        source: folder, or "digits".
        events: told about the progress of reading.
    """

    def __init__(self, source: str, events: Events) -> None:
        self.source, self._events = source, events
        self._known: dict[int, Dataset] = {}

    def at(self, resolution: int) -> Dataset:
        """Return the images, stored at `resolution`.

        Raises:
            DataError: the images cannot be used.
        """
        if resolution not in self._known:
            task = f"reading the images of {self.source} at {resolution} px"
            with report_task(self._events, task) as report:
                self._known[resolution] = load_dataset(self.source, resolution, progress=report)
        return self._known[resolution]


def choose_recipe(request: EvaluateRequest, dataset: Dataset) -> Recipe:
    """Return the recipe of all trainings, which start from random weights."""
    recipe = default_recipe(dataset, epochs=request.epochs, name=cast(RecipeName, request.recipe))
    # Only the final accuracy counts.
    return recipe.replace(evaluations=1)


class Trainings:
    """Trained weights in a folder, one file for each network, seed, recipe and set of images.

    Args:
        folder: an existing folder.
        images: what is trained on.
        recipe: of all trainings.
        data_hash: `Dataset.content_hash`.
    """

    def __init__(self, folder: Path, images: Images, recipe: Recipe, data_hash: str) -> None:
        self._folder, self._images, self._recipe = folder, images, recipe
        key = msgspec.json.encode((recipe, data_hash))
        self._key = hashlib.sha256(key).hexdigest()[:8]

    def path(self, entrant: Entrant, seed: int) -> Path:
        """Return the weight file of a training."""
        return self._folder / f"{entrant.architecture.id}-{self._key}-{seed}.safetensors"

    def is_done(self, entrant: Entrant, seed: int) -> bool:
        """Whether a training has ended. One that was killed while it wrote its files has not."""
        path = self.path(entrant, seed)
        return path.exists() and not state_path(path).exists()

    def run(
        self, entrants: Sequence[Entrant], seeds: int, workers: int, ray: str, events: Events
    ) -> Mapping[str, str]:
        """Train what is missing; all networks get the first seed first.

        Args:
            entrants: the networks.
            seeds: number of trainings of each.
            workers: see `train_networks`.
            ray: see `train_networks`.
            events: told about every training.

        Returns:
            Label of each network that could not be trained → why.

        Raises:
            TrainingError: a pick could not be trained. Finished trainings are kept.
            KeyboardInterrupt: Ctrl-C; what was done is kept.
        """
        jobs = [(each, seed) for seed in range(seeds) for each in entrants]
        missing = [job for job in jobs if not self.is_done(*job)]
        if kept := len(jobs) - len(missing):
            events(Message(f"{kept} of {len(jobs)} trainings were done before"))
        failed: dict[str, str] = {}
        orders = [
            TrainingJob(
                each.architecture, self._recipe, each.architecture.resolution, seed,
                self.path(each, seed),
            )
            for each, seed in missing
        ]  # fmt: skip
        results = train_networks(
            orders, self._images.source, self._images.at, workers=workers, ray=ray,
            observer=_make_observer(missing, events), events=events,
        )  # fmt: skip
        for number, result in results:
            _report(*missing[number], result, failed, events)
        return failed


def _make_observer(jobs: Sequence[tuple[Entrant, int]], events: Events) -> Observer:
    def observe(number: int, point: TrainingPoint) -> None:
        entrant, seed = jobs[number]
        task = f"training {number + 1} of {len(jobs)}: {entrant.label}, seed {seed}"
        events(TaskProgress(task, point.step / point.steps, point.seconds_left))

    return observe


def _report(
    entrant: Entrant,
    seed: int,
    result: TrainedNetwork | TrainingError,
    failed: dict[str, str],
    events: Events,
) -> None:
    """Report a training; one that failed leaves its network out, or ends all if it is a pick."""
    what = f"{entrant.label}, seed {seed}"
    if isinstance(result, TrainedNetwork):
        took = format_duration(result.seconds)
        events(Message(f"{what}: {result.accuracy:.1%} of held-out images, {took}"))
    elif entrant.role == "pick":
        raise TrainingError(f"{what}: {result}")
    else:
        failed.setdefault(entrant.label, str(result))
        events(Message(f"{what} is left out: {result}"))
