"""Measuring a batch on another machine while this one proposes and scores the next."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context

import msgspec

from gnv2_nas.measurement import Measurement
from gnv2_nas.measurement.plan import MeasurementOptions
from gnv2_nas.search.evaluate import Evaluator, Score
from gnv2_nas.search.pace import Deadline
from gnv2_nas.search.study.records import Trial


class Job(msgspec.Struct, frozen=True):
    """Networks to measure in the same rounds."""

    scored: Sequence[tuple[Trial, Score]]
    """New networks with their scores."""
    again: Sequence[Trial] = ()
    """Finished trials whose new measurement is pooled with theirs."""
    beside: Sequence[Trial] = ()
    """Finished trials whose new measurement replaces theirs. They are compared with the new
    networks, which no record stands for then."""


class Finished(msgspec.Struct, frozen=True):
    """A job with what was measured."""

    job: Job
    latencies: Sequence[Measurement | None]
    """Of the new networks, then of `again`, then of `beside`."""
    metrics: Sequence[Mapping[str, float]]
    """Of the new networks."""


class Pipeline:
    """Measures jobs in order.

    The machine that searches does not disturb another one. So a job on another machine runs in a
    thread, and its result is handed out with the next job: proposals then know the results up to
    the job before the last.
    """

    def __init__(self, evaluator: Evaluator) -> None:
        self._evaluator = evaluator
        self._threads = ThreadPoolExecutor(2, thread_name_prefix="measuring")
        self._task: Future[Finished] | None = None
        self.searched = 0
        """Number of searched networks that are being measured."""

    @property
    def is_busy(self) -> bool:
        """Whether a job is being measured."""
        return self._task is not None

    def measure(
        self, job: Job, options: MeasurementOptions, deadline: Deadline
    ) -> Iterator[Finished]:
        """Measure a job; yield jobs that are finished.

        Raises:
            MeasurementError: the device refused a network or failed.
            OutOfTimeError: another process measured for longer than `lock_deadline` allows.
        """
        if not self._evaluator.overlaps or job.beside:
            yield from self.drain()
            yield self._run(job, options, deadline)
            return
        task = self._threads.submit(copy_context().run, self._run, job, options, deadline)
        yield from self.drain()
        self._task, self.searched = task, sum(not trial.baseline for trial, _ in job.scored)

    def drain(self) -> Iterator[Finished]:
        """Yield the job that is being measured, if there is one, when it is finished."""
        task, self._task, self.searched = self._task, None, 0
        if task is not None:
            yield task.result()

    def _run(self, job: Job, options: MeasurementOptions, deadline: Deadline) -> Finished:
        new = [trial.architecture for trial, _ in job.scored]
        others = [trial.architecture for trial in (*job.again, *job.beside)]
        latencies = self._evaluator.measure(
            [*new, *others],
            options,
            deadline=deadline,
            # Networks that are compared with others must share their rounds.
            reusable=0 if job.beside else len(new),
        )
        return Finished(job, latencies, self._evaluator.evaluate_metrics(new))
