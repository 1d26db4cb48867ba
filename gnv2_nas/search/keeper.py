"""The finished trials of a search: stored, told to the models, and counted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec.structs import replace

from gnv2_nas.measurement import Measurement
from gnv2_nas.measurement.records.record import pool
from gnv2_nas.search.analysis.pareto import joint_front
from gnv2_nas.search.engine import ScoringFailure
from gnv2_nas.search.evaluate import known_score
from gnv2_nas.search.pipeline import Finished
from gnv2_nas.search.proposals import Proposals
from gnv2_nas.search.storage.store import Store
from gnv2_nas.search.study.records import Trial


class Keeper:
    """Keeps the front and a few totals up to date, so that a progress line always costs the same.

    Args:
        store: the study.
        proposals: learn from every trial.
        devices: labels of the study's devices.
        past: finished trials of the study.
    """

    def __init__(
        self, store: Store, proposals: Proposals, devices: Sequence[str], past: Sequence[Trial]
    ) -> None:
        self.store, self.proposals, self._devices = store, proposals, devices
        self.trials = {trial.number: trial for trial in past}
        """Finished trials by number, with their latest latency."""
        searched = [trial for trial in past if trial.searched]
        self.evaluated, self.feasible = len(searched), sum(each.feasible for each in searched)
        self.front = joint_front(past, store.settings)
        self.reused = 0  # see `Status`
        self.failed: list[ScoringFailure] = []
        self.failed_in_a_row: list[ScoringFailure] = []

    def take_over(self, finished: Finished) -> None:
        """Store what was measured, and let the models learn from it."""
        job, measured = finished.job, finished.measured
        latencies = {
            name: self.store.in_reference(each.latencies) for name, each in measured.items()
        }
        measures = self.store.settings.measures
        for n, (trial, score) in enumerate(job.scored):
            if isinstance(score, ScoringFailure) and not trial.baseline:
                self.failed.append(score)
                self.failed_in_a_row.append(score)
                self.proposals.tell_failed(trial)
                continue
            self.failed_in_a_row.clear()
            evaluated = replace(
                trial,
                quality=known_score(score),
                latencies={
                    name: latencies[name][n] if name in latencies else None
                    for name in (self._devices if measures else ())
                },
                measured={
                    key: value
                    for each in measured.values()
                    for key, value in each.metrics[n].items()
                },
            )
            self._store(self.proposals.tell(evaluated) if trial.params else evaluated)
        for name, found in latencies.items():
            missing, again, beside = job.on(name)
            for trial, more in zip(missing, measured[name].metrics[len(job.scored) :], strict=True):
                self._add_metrics(self.trials[trial.number], more)
            pooled = {trial.number for trial in again}
            later = (*missing, *again, *beside) if found else ()
            for trial, latency in zip(later, found[len(job.scored) :], strict=True):
                now = self.trials[trial.number]
                before = now.latencies.get(name) if trial.number in pooled else None
                self.remeasure(now, pool(before, latency) if before else latency)
        for each in measured.values():
            for latency in self.store.in_reference(list(each.files.values())):
                self.store.save_foreign_latency(latency)
        if any((*job.missing.values(), *job.again.values(), *job.beside.values())):
            # A trial may have left the front, which returns others to it.
            self.front = joint_front(list(self.trials.values()), self.store.settings)

    def remeasure(self, trial: Trial, latency: Measurement) -> None:
        """Give a finished trial a later latency: here, in the store, and in the models."""
        self.store.save_latency(trial, latency)
        self._replace(trial, trial.with_latency(latency))

    def _add_metrics(self, trial: Trial, more: Mapping[str, float]) -> None:
        """Give a finished trial metrics of a device that had failed."""
        if more:
            self.store.save_metrics(trial, more)
            self._replace(trial, replace(trial, measured={**trial.measured, **more}))

    def _replace(self, trial: Trial, later: Trial) -> None:
        self.proposals.update(later)
        self.feasible += trial.searched * (later.feasible - trial.feasible)
        self.trials[trial.number] = later

    def _store(self, trial: Trial) -> None:
        self.reused += sum(each.reused for each in trial.measured_on.values())
        in_vain = self.store.in_vain
        self.keep(replace(trial, number=self.store.append(trial)))
        if self.store.in_vain > in_vain:
            self.proposals.reseed()

    def keep(self, trial: Trial) -> None:
        if trial.number in self.trials:
            return
        self.trials[trial.number] = trial
        # Dominated trials stay dominated: only the front and the new trial matter.
        self.front = joint_front([*self.front, trial], self.store.settings)
        if trial.searched:
            self.evaluated += 1
            self.feasible += trial.feasible
