"""Training several networks: one after the other in this process, or spread over workers of Ray."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import as_completed
from contextlib import closing
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from gnv2_nas.arch import Architecture
from gnv2_nas.errors import TrainingError
from gnv2_nas.runner.lock import DeviceLock, give_way
from gnv2_nas.search.engine import ScoringFailure, Work
from gnv2_nas.search.engine.cluster import needs_ray
from gnv2_nas.search.engine.scorer_actor import check_content
from gnv2_nas.search.engine.workers import Pool
from gnv2_nas.training import Recipe, TrainingPoint, train_network
from gnv2_nas.workflows.events import Event, Events, Message, ignore, report_messages, report_task
from gnv2_nas.workflows.training import run_training
from gnv2_nas.workflows.training_request import CheckedTraining

if TYPE_CHECKING:
    from gnv2_nas.data import Dataset

Result = TypeVar("Result", bound=msgspec.Struct)
Train = Callable[[int], Result]
"""Runs the training of an index."""

SECONDS_BETWEEN_SAVES = 30.0
"""Seconds between two saves of a training's state. A worker that dies loses at most that much."""


class TrainingJob(msgspec.Struct, frozen=True):
    """One training of one network."""

    architecture: Architecture
    recipe: Recipe
    side: int
    """Resolution at which its images are stored."""
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


class FinishedTraining(msgspec.Struct, frozen=True):
    """What a training of `gnv2-nas train` found, as plain data."""

    headline: str
    result: dict[str, Any]
    """See `TrainingSummary.to_json`."""
    messages: tuple[str, ...] = ()
    """What it reported while it ran in a worker."""


def train_networks(
    jobs: Sequence[TrainingJob],
    data: str,
    images_at: Callable[[int], Dataset],
    *,
    workers: int = 1,
    ray: str = "",
    observer: Callable[[int, TrainingPoint], None] = lambda _job, _point: None,
    events: Events = ignore,
    save_every: float = SECONDS_BETWEEN_SAVES,
) -> Iterator[tuple[int, TrainedNetwork | TrainingError]]:
    """Train networks on the same images; yields the index of a job and its result when it ends.

    The result of a training that fails is the error, which is not raised; the others go on. On
    workers it is tried once more first, and so is a training whose worker has died.

    Args:
        data: folder of the images, or "digits". Workers read them from there.
        images_at: gives the images, stored at a resolution.
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

    def train(number: int) -> TrainedNetwork:
        return _train(jobs[number], images_at, save_every, partial(observer, number))

    content_hash = images_at(jobs[0].side).content_hash if jobs else ""
    make = partial(_make_train, jobs, data, content_hash, save_every)
    return _run_each(len(jobs), train, make, TrainedNetwork, workers, ray, events)


def run_trainings(
    trainings: Sequence[CheckedTraining],
    workers: int = 1,
    ray: str = "",
    events: Events = ignore,
) -> Iterator[tuple[CheckedTraining, FinishedTraining | TrainingError]]:
    """Train networks and write their weights and curves; yields each when it ends.

    For failures, errors and arguments see `train_networks`.
    """
    for each in trainings:
        if each.finished:
            events(Message(f"{each.output} is trained already; move it away to train it again"))
    trainings = [each for each in trainings if not each.finished]

    def train(number: int) -> FinishedTraining:
        return _finish(trainings[number], events)

    make = partial(_make_run, trainings)
    for number, result in _run_each(
        len(trainings), train, make, FinishedTraining, workers, ray, events
    ):
        yield trainings[number], result


def raise_failures(failures: Mapping[str, TrainingError], count: int) -> None:
    """Raise one error for the trainings that failed, if there are any.

    Args:
        failures: name of a training → its error.
        count: number of all trainings.
    """
    if failures and count == 1:
        raise next(iter(failures.values()))
    if failures:
        reasons = "; ".join(f"{name}: {error}" for name, error in failures.items())
        raise TrainingError(f"{len(failures)} of {count} trainings failed: {reasons}")


def _run_each(
    count: int,
    train: Train[Result],
    make_train: Callable[[], Train[Result]],
    kind: type[Result],
    workers: int,
    ray: str,
    events: Events,
) -> Iterator[tuple[int, Result | TrainingError]]:
    """Run trainings; yields the index and the result of each when it ends.

    Args:
        count: number of trainings.
        train: runs one in this process.
        make_train: makes, in a worker, what runs one there.
        kind: type of the results, which workers send as JSON.
    """
    workers = min(workers, count)
    if not (count and needs_ray(workers, ray)):
        for number in range(count):
            result: Result | TrainingError
            try:
                result = train(number)
            except TrainingError as error:
                result = error
            yield number, result
        return
    make_work, read = partial(_make_work, make_train), partial(msgspec.json.decode, type=kind)
    waiting = report_messages(events)
    with DeviceLock.shared(waiting):  # starting Ray computes
        pool: Pool[Result] = Pool(workers, make_work, read, math.inf, ray, waiting=waiting)
    with closing(pool), report_task(events, "trainings in workers") as report:
        numbers = {pool.ask(str(number)): number for number in range(count)}
        for done, future in enumerate(as_completed(numbers), start=1):
            answer: Result | ScoringFailure | TrainingError = future.result()
            if isinstance(answer, ScoringFailure):
                answer = TrainingError(answer.reason)
            yield numbers[future], answer
            report(done / count)


def _make_work(make_train: Callable[[], Train[Result]]) -> Work:
    train = make_train()
    return lambda number: msgspec.json.encode(train(int(number))).decode()


def _make_train(
    jobs: Sequence[TrainingJob], data: str, content_hash: str, save_every: float
) -> Train[TrainedNetwork]:
    """Make what runs jobs in a worker, which reads the images itself.

    Raises:
        InputError: the images are not those of the command.
    """
    from gnv2_nas.data import load_dataset

    @cache
    def images_at(side: int) -> Dataset:
        dataset = load_dataset(data, side)
        check_content(data, content_hash, dataset.content_hash, "training")
        return dataset

    images_at(jobs[0].side)
    return lambda number: _train(jobs[number], images_at, save_every, lambda _: give_way())


def _train(
    job: TrainingJob,
    images_at: Callable[[int], Dataset],
    save_every: float,
    observer: Callable[[TrainingPoint], None],
) -> TrainedNetwork:
    result = train_network(
        job.architecture, images_at(job.side), job.recipe, job.output, seed=job.seed,
        observer=observer, save_every=save_every,
    )  # fmt: skip
    return TrainedNetwork(result.accuracy, result.seconds)


def _make_run(trainings: Sequence[CheckedTraining]) -> Train[FinishedTraining]:
    """Make what runs trainings in a worker, and keeps what they report."""

    def run(number: int) -> FinishedTraining:
        reported: list[str] = []

        def keep(event: Event) -> None:
            give_way()
            if isinstance(event, Message):
                reported.append(event.text)

        finished = _finish(trainings[number], keep)
        return msgspec.structs.replace(finished, messages=tuple(reported))

    return run


def _finish(checked: CheckedTraining, events: Events) -> FinishedTraining:
    summary = run_training(checked, events)
    return FinishedTraining(summary.headline(), summary.to_json())
