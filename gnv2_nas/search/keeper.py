"""The finished trials of a search: stored, told to the models, and counted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec.structs import replace

from gnv2_nas.measurement import Measurement
from gnv2_nas.measurement.records.record import pool
from gnv2_nas.search.analysis.front_table import FrontTable
from gnv2_nas.search.analysis.pareto import sort_members
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
        self._table = FrontTable(store.settings)
        self._lacking: dict[str, set[int]] = {name: set() for name in devices}
        self.trials: dict[int, Trial] = {}
        """Finished trials by number, with their latest latency."""
        self.evaluated = self.feasible = 0
        for trial in past:
            self.keep(trial)
        self._find_front()
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
        later: list[tuple[Trial, Measurement]] = []
        for name, found in latencies.items():
            missing, again, beside = job.on(name)
            for trial, more in zip(missing, measured[name].metrics[len(job.scored) :], strict=True):
                self._add_metrics(self.trials[trial.number], more)
            pooled = {trial.number for trial in again}
            measured_again = (*missing, *again, *beside) if found else ()
            for trial, latency in zip(measured_again, found[len(job.scored) :], strict=True):
                now = self.trials[trial.number]
                before = now.latencies.get(name) if trial.number in pooled else None
                later.append((now, pool(before, latency) if before else latency))
        self.remeasure(later)
        for each in measured.values():
            for latency in self.store.in_reference(list(each.files.values())):
                self.store.save_foreign_latency(latency)
        self._find_front()

    def remeasure(self, latencies: Sequence[tuple[Trial, Measurement]]) -> None:
        """Give finished trials later latencies: here, in the store, and in the models."""
        self.store.save_latencies(latencies)
        for trial, latency in latencies:
            now = self.trials[trial.number]
            self._replace(now, now.with_latency(latency))

    def _add_metrics(self, trial: Trial, more: Mapping[str, float]) -> None:
        """Give a finished trial metrics of a device that had failed."""
        if more:
            self.store.save_metrics(trial, more)
            self._replace(trial, replace(trial, measured={**trial.measured, **more}))

    def _replace(self, trial: Trial, later: Trial) -> None:
        self.proposals.update(later)
        self.feasible += trial.searched * (later.feasible - trial.feasible)
        self._note(later)

    def _store(self, trial: Trial) -> None:
        self.reused += sum(each.reused for each in trial.measured_on.values())
        in_vain = self.store.in_vain
        self.keep(replace(trial, number=self.store.append(trial)))
        if self.store.in_vain > in_vain:
            self.proposals.reseed()

    def adopt(self) -> int:
        """Take over what other processes have finished; returns how many networks the study has."""
        trials = self.store.new_trials()
        self.proposals.learn(trials)
        for trial in trials:
            self.proposals.seen.add(trial.architecture.id)
            self.keep(trial)
        if trials:
            self._find_front()
        return self.evaluated

    def keep(self, trial: Trial) -> None:
        if trial.number in self.trials:
            return
        self._note(trial)
        if trial.searched:
            self.evaluated += 1
            self.feasible += trial.feasible

    def list_lacking(self, device: str) -> list[Trial]:
        """Finished trials that lack the latency on a device, or a metric that is asked for."""
        return [self.trials[number] for number in sorted(self._lacking[device])]

    def list_contenders(self, device: str) -> list[Trial]:
        """Trials whose latency on a device may decide a front or a budget."""
        return [self.trials[number] for number in sorted(self._table.contenders(device))]

    def _note(self, trial: Trial) -> None:
        """Keep the latest values of a trial."""
        self.trials[trial.number] = trial
        self._table.put(trial)
        settings = self.store.settings
        for device, numbers in self._lacking.items():
            metrics = {each.name for each in settings.evaluated if each.device in ("", device)}
            measured = not settings.measures or trial.latencies.get(device) is not None
            if measured and trial.measured.keys() >= metrics:
                numbers.discard(trial.number)
            else:
                numbers.add(trial.number)

    def _find_front(self) -> None:
        members = (self.trials[number] for number in self._table.front())
        self.front = sort_members(members, self.store.settings)
