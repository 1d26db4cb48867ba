"""The search: propose, reject by arithmetic, score and measure in batches, store."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from types import MappingProxyType

from msgspec.structs import replace

from gnv2_nas.arch import Architecture
from gnv2_nas.errors import MeasurementError, OutOfTimeError, RunError
from gnv2_nas.formats.foreign.network import ForeignNetwork
from gnv2_nas.graph import count
from gnv2_nas.measurement.plan import MeasurementOptions
from gnv2_nas.runner.lock import lock_deadline
from gnv2_nas.search.analysis.convergence import PATIENCE, TOLERANCE, is_flat_in_every_view
from gnv2_nas.search.analysis.scaling import list_missing_stock
from gnv2_nas.search.engine import OutOfTime, ScoringFailure
from gnv2_nas.search.evaluate import Evaluator, Score
from gnv2_nas.search.keeper import Keeper
from gnv2_nas.search.lane import SEARCHING
from gnv2_nas.search.pace import Deadline
from gnv2_nas.search.pipeline import Finished, Job, Pipeline
from gnv2_nas.search.proposals import Proposals
from gnv2_nas.search.sampler.remeasurement import select_for_remeasurement
from gnv2_nas.search.storage.store import Store
from gnv2_nas.search.study.records import Progress, Trial
from gnv2_nas.search.timetable import Observer, Status, Timetable
from gnv2_nas.space import SearchSpace

BATCH = 8
"""Networks that share the rounds of a measurement. A kill loses at most one batch."""
TIME_IS_UP = "time is up"
NOTHING_NEW = "the space has no new network within the budgets"


class SearchLoop(Keeper):
    """One run of a search that continues a study.

    Args:
        past: finished trials of the study.
        trials: number of searched networks that the study has at the end.
        deadline: end of the run, `confirm_and_ablate` included.
        foreign: files of other tools, which the study has, to measure beside its networks.
    """

    def __init__(
        self,
        space: SearchSpace,
        store: Store,
        evaluator: Evaluator,
        proposals: Proposals,
        *,
        past: Sequence[Trial],
        trials: int,
        deadline: Deadline = Deadline(),  # noqa: B008  frozen
        stop_when_flat: bool = False,
        foreign: Sequence[ForeignNetwork] = (),
        observer: Observer = lambda _: None,
    ) -> None:
        super().__init__(store, proposals, evaluator.lanes.names, past)
        self.space, self.evaluator = space, evaluator
        self.wanted, self.deadline = trials, deadline
        measures = store.settings.measures
        self.time = Timetable(deadline, evaluator.pace, evaluator.lanes, measures=measures)
        self.lanes, self.foreign = evaluator.lanes, foreign
        self.pipeline = Pipeline(self.lanes, measures=measures)
        self.stop_when_flat, self.observer = stop_when_flat, observer
        self._before = store.progress
        self._evaluated_before = self.evaluated

    def run(self) -> str:
        """Evaluate until the trials, the time or the space run out; returns the reason in words."""
        try:
            with lock_deadline(self.deadline.at):
                reason = self._run()
                self._drain()
                self._complete()
            return reason
        except OutOfTimeError:  # another process measured until the deadline
            return TIME_IS_UP
        except MeasurementError:
            with suppress(RunError):
                self._drain()  # what another job has measured is kept
            raise

    def _run(self) -> str:
        self._evaluate_baselines()
        while self._adopt() < self.wanted:
            if len(self.failed_in_a_row) >= BATCH:
                return f"networks can no longer be scored: {self.failed_in_a_row[-1].reason}"
            if self.stop_when_flat and self._is_flat():
                return f"the front grew by less than {TOLERANCE:.1%} in {PATIENCE} networks"
            self.lanes.try_again()
            self._complete()
            self.report("proposing")
            until = self.time.searching(len(self.front))
            # Every run evaluates at least one network, whatever it costs.
            started = self._evaluated_now or self.pipeline.searched
            at_least = int(not started and not self.deadline.is_over)
            wanted = min(BATCH, self.wanted - self.evaluated - self.pipeline.searched)
            size = max(self.time.fitting(wanted, until), at_least)
            asking = self.deadline if at_least else until
            batch = self._propose(size, asking)
            if not batch and self.pipeline.is_busy:
                self._drain()  # its results may lead to others
                continue
            if not batch:
                return NOTHING_NEW if size and not asking.is_over else TIME_IS_UP
            again = self._select_again() if self.time.allows_remeasuring(len(batch), until) else {}
            if not self.evaluate(batch, again, deadline=until, at_least=at_least):
                return TIME_IS_UP
        return "all trials are done"

    def _complete(self) -> None:
        """Measure finished networks on devices that failed when it was their turn, and are back."""
        while missing := {
            lane.name: lacking[:BATCH]
            for lane in self.lanes.active
            if (lacking := self.list_lacking(lane.name))
        }:
            until = self.time.searching(len(self.front))
            if not self.time.allows_measuring(max(map(len, missing.values())), until):
                return
            self.report("measuring what a device lacks")
            self._measure(Job(missing=missing), SEARCHING, until)
            self._drain()

    def list_lacking(self, device: str) -> list[Trial]:
        """Finished trials that lack the latency on a device, or a metric that is asked for."""
        settings = self.store.settings
        metrics = [each.name for each in settings.evaluated if each.device in ("", device)]
        return [
            trial
            for trial in self.trials.values()
            if (settings.measures and trial.latencies.get(device) is None)
            or not trial.measured.keys() >= set(metrics)
        ]

    def _measure(self, job: Job, options: MeasurementOptions, deadline: Deadline) -> None:
        self._keep(self.pipeline.measure(job, options, deadline))

    def _drain(self) -> None:
        self._keep(self.pipeline.drain())

    def _is_flat(self) -> bool:
        trials = [self.trials[number] for number in sorted(self.trials)]
        return is_flat_in_every_view(trials, self.store.settings)

    def _adopt(self) -> int:
        """Take over what other processes have finished; returns how many networks the study has."""
        trials = self.store.new_trials()
        self.proposals.learn(trials)
        for trial in trials:
            self.proposals.seen.add(trial.architecture.id)
            self.keep(trial)
        return self.evaluated

    def _propose(self, size: int, until: Deadline) -> list[Trial]:
        batch: list[Trial] = []
        began = until.clock()
        while len(batch) < size and (trial := self.proposals.ask(until)) is not None:
            batch.append(trial)
        self.evaluator.pace.proposed(size, until.clock() - began)
        now = (self.proposals.proposed, self.proposals.rejected, self.proposals.duplicates)
        self.store.save_progress(Progress(*now))
        return batch

    def _select_again(self) -> dict[str, list[Trial]]:
        """Device → trials to measure again there."""
        settings, again = self.store.settings, {}
        for lane in self.lanes.active:
            view = settings.on(lane.name)
            trials = [trial.seen(view) for trial in self.trials.values()]
            front = [trial.seen(view) for trial in self.front]
            chosen = select_for_remeasurement(trials, front, view)
            again[lane.name] = [self.trials[trial.number] for trial in chosen]
        return again

    def _evaluate_baselines(self) -> None:
        """Evaluate stock networks. Those inside the space also inform the sampler."""
        files, deadline, at_least = self._list_unmeasured_files(), self.time.for_stock, 1
        while (networks := self._list_missing_stock()) or files:
            self.report("measuring stock networks")
            wanted = list(networks.values())
            if self.store.settings.measures:
                self.lanes.prepare(wanted)
            scores = self.evaluator.scores(wanted, deadline=deadline, at_least=at_least)
            scored = [
                (self._make_stock(name, arch, score), score)
                for (name, arch), score in zip(networks.items(), scores, strict=True)
                if score != OutOfTime()
            ]
            self._measure(Job(scored, foreign=files), SEARCHING, deadline)
            if not scored:
                return
            # What was measured tells how wide others may be within a limit of latency.
            self._drain()
            files, at_least = [], 0

    def _list_missing_stock(self) -> dict[str, Architecture]:
        return list_missing_stock(self.space, self.store.settings, list(self.trials.values()))

    def _list_unmeasured_files(self) -> list[ForeignNetwork]:
        kept = {each.id: each.latencies for each in self.store.foreign()} if self.foreign else {}
        return [
            each
            for each in self.foreign
            if not all(kept.get(each.id, {}).get(name) for name in self.lanes.names)
        ]

    def _make_stock(self, name: str, arch: Architecture, score: Score) -> Trial:
        self.proposals.seen.add(arch.id)
        params = self.space.encode(arch)
        if params and not isinstance(score, ScoringFailure):
            return replace(self.proposals.ask_for(params, "stock"), baseline=name)
        budgets = self.store.settings.budgets
        return Trial(
            architecture=arch, counts=count(arch), budgets=budgets, origin="stock", baseline=name
        )

    def evaluate(
        self,
        batch: Sequence[Trial],
        again: Mapping[str, Sequence[Trial]] = MappingProxyType({}),
        beside: Mapping[str, Sequence[Trial]] = MappingProxyType({}),
        deadline: Deadline = Deadline(),  # noqa: B008  frozen
        at_least: int = 0,
        options: MeasurementOptions = SEARCHING,
    ) -> int:
        """Score and measure a batch, and store it.

        Args:
            batch: proposals.
            again: device → finished trials to measure again in the same rounds; both measurements
                are pooled.
            beside: device → finished trials to compare the batch with; the new latency replaces
                theirs.
            deadline: networks that are not scored by then are left out.
            at_least: number of networks to score in any case.
            options: precision and time of the measurement.

        Returns:
            Number of networks of the batch that there was time for.

        Raises:
            OutOfTimeError: another process measured for longer than this one may wait.
        """
        scored = self._scored(batch, deadline, at_least)
        self.report("measuring")
        foreign = self.foreign if beside and not batch else ()
        self._measure(Job(scored, again=again, beside=beside, foreign=foreign), options, deadline)
        return len(scored)

    def _keep(self, jobs: Iterable[Finished]) -> None:
        for finished in jobs:
            self.take_over(finished)
            self.report("keeping")

    def _scored(
        self, batch: Sequence[Trial], deadline: Deadline, at_least: int
    ) -> list[tuple[Trial, Score]]:
        """Score proposals. Those that there is no time for are withdrawn and left out."""
        self.report("scoring")
        scores = self.evaluator.scores(
            [trial.architecture for trial in batch],
            lambda done: self.report(f"scoring, {done}"),
            deadline,
            at_least,
        )
        pairs = list(zip(batch, scores, strict=True))
        for trial, score in pairs:
            if isinstance(score, OutOfTime):
                self.proposals.withdraw(trial)
        return [pair for pair in pairs if not isinstance(pair[1], OutOfTime)]

    @property
    def _evaluated_now(self) -> int:
        """Number of networks that this run has evaluated."""
        return self.evaluated - self._evaluated_before

    def report(self, doing: str) -> None:
        """Tell the observer the state of the search."""
        self.observer(
            Status(
                evaluated=self.evaluated,
                wanted=self.wanted,
                proposed=self._before.proposed + self.proposals.proposed,
                rejected=self._before.rejected + self.proposals.rejected,
                feasible=self.feasible,
                front=len(self.front),
                best=self.front[0] if self.front else None,
                seconds=self.time.elapsed,
                seconds_left=self.time.left(self._evaluated_now, self.wanted - self.evaluated),
                doing=doing,
                reused=self.reused,
                aside=self.lanes.aside,
            )
        )
