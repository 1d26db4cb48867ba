"""The search: propose, reject by arithmetic, score and measure in batches, store."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from gnv2_nas.arch import Architecture
from gnv2_nas.devices.panel import REFERENCE
from gnv2_nas.errors import OutOfTimeError
from gnv2_nas.graph import count
from gnv2_nas.measurement import Measurement
from gnv2_nas.measurement.plan import MeasurementOptions
from gnv2_nas.measurement.records.record import pool
from gnv2_nas.runner.lock import lock_deadline
from gnv2_nas.search.analysis.baselines import list_stock_networks, preset_name
from gnv2_nas.search.analysis.convergence import PATIENCE, TOLERANCE, is_flat_in_every_view
from gnv2_nas.search.analysis.pareto import joint_front
from gnv2_nas.search.engine import OutOfTime, ScoringFailure
from gnv2_nas.search.evaluate import SEARCHING, Evaluator, Score, known_score
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


class SearchLoop:
    """One run of a search that continues a study.

    Keeps the front and a few totals up to date, so that a progress line always costs the same.

    Args:
        past: finished trials of the study.
        trials: number of searched networks that the study has at the end.
        deadline: end of the run, `confirm_and_ablate` included.
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
        observer: Observer = lambda _: None,
    ) -> None:
        self.space, self.store = space, store
        self.evaluator, self.proposals = evaluator, proposals
        self.wanted, self.deadline = trials, deadline
        self.time = Timetable(deadline, evaluator.pace, measures=store.settings.measures)
        self.pipeline = Pipeline(evaluator)
        self.stop_when_flat, self.observer = stop_when_flat, observer
        self.trials = {trial.number: trial for trial in past}
        """Finished trials by number, with their latest latency."""
        self.baselines = {trial.baseline for trial in past if trial.baseline}
        searched = [trial for trial in past if trial.searched]
        self.evaluated, self.feasible = len(searched), sum(each.feasible for each in searched)
        self.front = joint_front(past, store.settings)
        self.reused = 0  # see `Status`
        self.failed: list[ScoringFailure] = []
        self._failed_in_a_row: list[ScoringFailure] = []
        self._before = store.progress
        self._evaluated_before = self.evaluated

    def run(self) -> str:
        """Evaluate until the trials, the time or the space run out; returns the reason in words."""
        try:
            with lock_deadline(self.deadline.at):
                reason = self._run()
                self._drain()
            return reason
        except OutOfTimeError:  # another process measured until the deadline
            return TIME_IS_UP

    def _run(self) -> str:
        self._evaluate_baselines()
        while self.evaluated < self.wanted:
            if len(self._failed_in_a_row) >= BATCH:
                return f"networks can no longer be scored: {self._failed_in_a_row[-1].reason}"
            if self.stop_when_flat and self._is_flat():
                return f"the front grew by less than {TOLERANCE:.1%} in {PATIENCE} networks"
            self.report("proposing")
            self._adopt()
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
            again = self._select_again() if self.time.allows_remeasuring(len(batch), until) else ()
            if not self.evaluate(batch, again, deadline=until, at_least=at_least):
                return TIME_IS_UP
        return "all trials are done"

    def _drain(self) -> None:
        for finished in self.pipeline.drain():
            self._take_over(finished)

    def _is_flat(self) -> bool:
        trials = [self.trials[number] for number in sorted(self.trials)]
        return is_flat_in_every_view(trials, self.store.settings)

    def _adopt(self) -> None:
        """Take over the trials that other processes have finished on the same study."""
        trials = self.store.new_trials()
        self.proposals.learn(trials)
        for trial in trials:
            self.proposals.seen.add(trial.architecture.id)
            self._keep(trial)

    def _propose(self, size: int, until: Deadline) -> list[Trial]:
        batch: list[Trial] = []
        began = until.clock()
        while len(batch) < size and (trial := self.proposals.ask(until)) is not None:
            batch.append(trial)
        self.evaluator.pace.proposed(size, until.clock() - began)
        now = (self.proposals.proposed, self.proposals.rejected, self.proposals.duplicates)
        self.store.save_progress(Progress(*now))
        return batch

    def _select_again(self) -> list[Trial]:
        trials = list(self.trials.values())
        return select_for_remeasurement(trials, self.front, self.store.settings)

    def _evaluate_baselines(self) -> None:
        """Evaluate stock networks. Those inside the space also inform the sampler."""
        stock = list_stock_networks(self.space)
        networks = {name: arch for name, arch in stock.items() if name not in self.baselines}
        if not networks:
            return
        self.report("measuring stock networks")
        deadline = self.time.for_stock
        # The network that all others are compared with is evaluated in any case.
        names = sorted(networks, key=lambda name: preset_name(name) != REFERENCE)
        wanted = [networks[name] for name in names]
        found = self.evaluator.scores(wanted, deadline=deadline, at_least=1)
        scores = dict(zip(names, found, strict=True))
        scored = [
            (self._make_stock(name, arch, scores[name]), scores[name])
            for name, arch in networks.items()
            if scores[name] != OutOfTime()
        ]
        for finished in self.pipeline.measure(Job(scored), SEARCHING, deadline):
            self._take_over(finished)

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
        again: Sequence[Trial] = (),
        beside: Sequence[Trial] = (),
        deadline: Deadline = Deadline(),  # noqa: B008  frozen
        at_least: int = 0,
        options: MeasurementOptions = SEARCHING,
    ) -> int:
        """Score and measure a batch, and store it.

        Args:
            batch: proposals.
            again: finished trials to measure again in the same rounds; both measurements are
                pooled.
            beside: finished trials to compare the batch with; the new latency replaces theirs.
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
        job = Job(scored, again, beside)
        for finished in self.pipeline.measure(job, options, deadline):
            self._take_over(finished)
        return len(scored)

    def _take_over(self, finished: Finished) -> None:
        """Store what was measured, and let the models learn from it."""
        job, scored = finished.job, finished.job.scored
        measured = [each for each in finished.latencies if each is not None]
        latencies = self.store.in_reference(measured) or finished.latencies
        for (trial, score), latency, more in zip(
            scored, latencies[: len(scored)], finished.metrics, strict=True
        ):
            if isinstance(score, ScoringFailure) and not trial.baseline:
                self.failed.append(score)
                self._failed_in_a_row.append(score)
                self.proposals.tell_failed(trial)
                continue
            self._failed_in_a_row.clear()
            found = {} if latency is None else {latency.device: latency}
            evaluated = replace(trial, quality=known_score(score), latencies=found, measured=more)
            self._finish(self.proposals.tell(evaluated) if trial.params else evaluated)
        later = latencies[len(scored) :]
        for trial, latency in zip(job.again, later[: len(job.again)], strict=True):
            now = self.trials[trial.number]
            if latency is not None and now.latency is not None:
                self.remeasure(now, pool(now.latency, latency))
        for trial, latency in zip(job.beside, later[len(job.again) :], strict=True):
            if latency is not None:
                self.remeasure(trial, latency)
        if later:
            # A trial may have left the front, which returns others to it.
            self.front = joint_front(list(self.trials.values()), self.store.settings)
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

    def remeasure(self, trial: Trial, latency: Measurement) -> None:
        """Give a finished trial a later latency: here, in the store, and in the models."""
        self.store.save_latency(trial, latency)
        later = trial.with_latency(latency)
        self.proposals.update(later)
        self.feasible += trial.searched * (later.feasible - trial.feasible)
        self.trials[trial.number] = later

    def _finish(self, trial: Trial) -> None:
        self.reused += trial.latency is not None and trial.latency.reused
        self._keep(replace(trial, number=self.store.append(trial)))

    def _keep(self, trial: Trial) -> None:
        if trial.number in self.trials:
            return
        if trial.baseline:
            self.baselines.add(trial.baseline)
        self.trials[trial.number] = trial
        # Dominated trials stay dominated: only the front and the new trial matter.
        self.front = joint_front([*self.front, trial], self.store.settings)
        if trial.searched:
            self.evaluated += 1
            self.feasible += trial.feasible

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
            )
        )
