"""Training several networks: one after the other in this process, or spread over workers of Ray."""

from __future__ import annotations

import math
import platform
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import as_completed
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import msgspec

from gnv2_nas.arch import Architecture
from gnv2_nas.errors import DataError, TrainingError
from gnv2_nas.runner.lock import DeviceLock
from gnv2_nas.search.engine import ScoringFailure, Work
from gnv2_nas.search.engine.cluster import needs_ray
from gnv2_nas.search.engine.workers import Pool
from gnv2_nas.training import Recipe, TrainingPoint, train_network
from gnv2_nas.workflows.events import Events, ignore, report_messages, report_task

if TYPE_CHECKING:
    from gnv2_nas.data import Dataset

Result = TypeVar("Result")

SECONDS_BETWEEN_SAVES = 30.0
"""Seconds between two saves of a training's state. A worker that dies loses at most that much."""


class TrainingJob(msgspec.Struct, frozen=True):
    """One training of one network."""

    architecture: Architecture
    recipe: Recipe
    seed: int = 0
    output: Path | None = None
    """Weight file to write. The state of the unfinished training is beside it, and the same job
    continues from it. None writes nothing: an interrupted training starts again."""


class TrainedNetwork(msgspec.Struct, frozen=True):
    """The result of a training."""

    accuracy: float
    """Top-1 on the held-out images, 0 to 1."""
    seconds: float
    """Duration of all runs of this training."""


def ignore_points(_job: int, _point: TrainingPoint) -> None:
    """Observe nothing."""


def train_networks(
    jobs: Sequence[TrainingJob],
    data: str,
    dataset: Dataset,
    *,
    workers: int = 1,
    ray: str = "",
    observer: Callable[[int, TrainingPoint], None] = ignore_points,
    events: Events = ignore,
    save_every: float = SECONDS_BETWEEN_SAVES,
) -> Iterator[tuple[int, TrainedNetwork | TrainingError]]:
    """Train networks on the same images; yields the index of a job and its result when it ends.

    The result of a training that fails is the error, which is not raised; the others go on. On
    workers it is tried once more first, and so is a training whose worker has died.

    Args:
        data: folder of the images, or "digits". Workers read them from there.
        dataset: the images.
        workers: number of trainings at a time. One training runs in this process, unless `ray` is
            given.
        ray: cluster whose machines train, "auto" or ray://HOST:PORT; "" starts Ray on this machine.
        observer: called in this process with the index of a job and each point of its training.
        events: told about the progress of workers, and what they wait for.
        save_every: see `SECONDS_BETWEEN_SAVES`.

    Raises:
        InputError: the images, an output or the cluster cannot be used.
        RunError: the disk refused, or Ray cannot be started or is lost.
        KeyboardInterrupt: Ctrl-C; the states are kept.
    """
    if jobs and needs_ray(min(workers, len(jobs)), ray):
        side, content_hash = dataset.side, dataset.content_hash
        make_work = partial(_make_trainer, jobs, data, side, content_hash, save_every)
        read = partial(msgspec.json.decode, type=TrainedNetwork)
        yield from run_on_workers(make_work, read, len(jobs), workers, ray, events)
        return
    for number, job in enumerate(jobs):
        result: TrainedNetwork | TrainingError
        try:
            result = _train(job, dataset, save_every, partial(observer, number))
        except TrainingError as error:
            result = error
        yield number, result


def run_on_workers(
    make_work: Callable[[], Work],
    read: Callable[[str], Result],
    count: int,
    workers: int,
    ray: str,
    events: Events,
) -> Iterator[tuple[int, Result | TrainingError]]:
    """Have trainings done by workers of Ray; yields the index and the result of each as it ends.

    Args:
        make_work: makes, in a worker, what trains when it is given an index as text.
        read: reads the answer of a worker.
        count: number of trainings.
    """
    workers = min(workers, count)
    waiting = report_messages(events)
    with DeviceLock.shared(waiting):  # starting Ray computes
        pool = Pool(workers, make_work, read, math.inf, ray, waiting=waiting)
    with closing(pool), report_task(events, f"{count} trainings on {workers} workers") as report:
        numbers = {pool.ask(str(number)): number for number in range(count)}
        for done, future in enumerate(as_completed(numbers), start=1):
            answer = future.result()
            if isinstance(answer, ScoringFailure):
                yield numbers[future], TrainingError(answer.reason)
            else:
                yield numbers[future], answer
            report(done / count)


def _make_trainer(
    jobs: Sequence[TrainingJob], data: str, side: int, content_hash: str, save_every: float
) -> Work:
    """Make what trains the job of an index in a worker, which reads the images itself.

    Raises:
        DataError: the images are not those of the command.
    """
    from gnv2_nas.data import load_dataset

    dataset = load_dataset(data, side)
    if dataset.content_hash != content_hash:
        raise DataError(
            f"machine {platform.node()!r} finds other images in {data!r}: use a folder that all "
            "machines share"
        )

    def train(number: str) -> str:
        return msgspec.json.encode(_train(jobs[int(number)], dataset, save_every)).decode()

    return train


def _train(
    job: TrainingJob,
    dataset: Dataset,
    save_every: float,
    observer: Callable[[TrainingPoint], None] = lambda _: None,
) -> TrainedNetwork:
    result = train_network(
        job.architecture, dataset, job.recipe, job.output, seed=job.seed, observer=observer,
        save_every=save_every,
    )  # fmt: skip
    return TrainedNetwork(result.accuracy, result.seconds)
