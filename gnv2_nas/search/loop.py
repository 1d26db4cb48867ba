"""The search: propose, reject by arithmetic, score and measure in batches, store."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from types import MappingProxyType

from msgspec.structs import replace

from gnv2_nas.arch import Architecture
from gnv2_nas.errors import OutOfTimeError, RunError, StorageError
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
from gnv2_nas.search.scoring import Scoring
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
        self.scoring = Scoring(
            evaluator, proposals.withdraw, lambda done: self.report(f"scoring, {done}")
        )
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
            self._keep_measured()
            return TIME_IS_UP
        except StorageError:
            raise
        except RunError:
            self._keep_measured()
            raise
        finally:
            self.scoring.stop()

    def _keep_measured(self) -> None:
        """Keep what other jobs than the one that failed have measured."""
        while self.pipeline.is_busy:
            with suppress(RunError):
                self._drain()

    def _run(self) -> str:
        self._evaluate_baselines()
        while self.adopt() < self.wanted:
            if len(self.failed_in_a_row) >= BATCH:
                return f"networks can no longer be scored: {self.failed_in_a_row[-1].reason}"
            if self.stop_when_flat and self._is_flat():
                return f"the front grew by less than {TOLERANCE:.1%} in {PATIENCE} networks"
            self.lanes.try_again()
            self._complete()
            until = self.time.searching(len(self.front))
            self._hand_out(until)
            self.report("proposing")
            # Every run evaluates at least one network, whatever it costs.
            started = self._evaluated_now or self.pipeline.searched or self.scoring.count
            at_least = int(not started and not self.deadline.is_over)
            size = max(self._fitting(until), at_least) if self.scoring.has_room else 0
            asking = self.deadline if at_least else until
            batch = self._propose(size, asking) if size else []
            self.report("scoring")
            self.scoring.submit(batch, until, at_least)
            scored = self.scoring.take(BATCH, waits=not (batch and self.scoring.has_room))
            if scored:
                self._measure_scored(scored, until)
            elif self.scoring.count:
                continue  # there are workers without work
            elif self.pipeline.is_busy:
                self._drain()  # its results may lead to other proposals
            else:
                is_late = batch or not size or asking.is_over
                return TIME_IS_UP if is_late else NOTHING_NEW
        return "all trials are done"

    def _hand_out(self, until: Deadline) -> None:
        """Have devices measure what is scored before they wait for the next proposals."""
        while self.pipeline.has_room and (scored := self.scoring.take(BATCH, waits=False)):
            self._measure_scored(scored, until)

    def _measure_scored(self, scored: Sequence[tuple[Trial, Score]], until: Deadline) -> None:
        again = self._select_again(len(scored), until)
        self.report("measuring")
        self._measure(Job(scored, again=again), SEARCHING, until)

    def _fitting(self, until: Deadline) -> int:
        """Number of networks to propose next."""
        scoring, measuring = self.scoring.count, self.pipeline.searched
        wanted = min(BATCH, self.wanted - self.evaluated - scoring - measuring)
        return self.time.fitting(wanted, until, scoring, measuring)

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

    def _measure(self, job: Job, options: MeasurementOptions, deadline: Deadline) -> None:
        self._keep(self.pipeline.measure(job, options, deadline))

    def _drain(self) -> None:
        self._keep(self.pipeline.drain())

    def _is_flat(self) -> bool:
        trials = [self.trials[number] for number in sorted(self.trials)]
        return is_flat_in_every_view(trials, self.store.settings)

    def _propose(self, size: int, until: Deadline) -> list[Trial]:
        batch: list[Trial] = []
        began = until.clock()
        while len(batch) < size and (trial := self.proposals.ask(until)) is not None:
            batch.append(trial)
        self.evaluator.pace.proposed(size, until.clock() - began)
        now = (self.proposals.proposed, self.proposals.rejected, self.proposals.duplicates)
        self.store.save_progress(Progress(*now))
        return batch

    def _select_again(self, new: int, until: Deadline) -> dict[str, list[Trial]]:
        """Device → trials to measure again there beside `new` networks."""
        settings, again = self.store.settings, dict[str, list[Trial]]()
        if not self.time.allows_remeasuring(new, until):
            return again
        for lane in self.lanes.active:
            view = settings.on(lane.name)
            trials = [trial.seen(view) for trial in self.list_contenders(lane.name)]
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
        beside: Mapping[str, Sequence[Trial]] = MappingProxyType({}),
        deadline: Deadline = Deadline(),  # noqa: B008  frozen
        at_least: int = 0,
        options: MeasurementOptions = SEARCHING,
    ) -> int:
        """Score and measure a batch, and store it.

        Args:
            batch: proposals.
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
        self.report("scoring")
        self.scoring.submit(batch, deadline, at_least)
        scored = self.scoring.take(len(batch), waits=True)
        self.report("measuring")
        foreign = self.foreign if beside and not batch else ()
        self._measure(Job(scored, beside=beside, foreign=foreign), options, deadline)
        return len(scored)

    def _keep(self, jobs: Iterable[Finished]) -> None:
        for finished in jobs:
            self.take_over(finished)
            self.report("keeping")

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
