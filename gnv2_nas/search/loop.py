"""The search: propose, reject by arithmetic, score and measure in batches, keep."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import msgspec

from gnv2_nas.arch import Architecture
from gnv2_nas.graph import count
from gnv2_nas.profiling import Measurement
from gnv2_nas.profiling.pooling import pooled
from gnv2_nas.search.baselines import stock_networks
from gnv2_nas.search.convergence import PATIENCE, TOLERANCE, hypervolume_history, is_flat
from gnv2_nas.search.evaluate import Evaluator, Score, in_milliseconds_of
from gnv2_nas.search.pareto import front_of
from gnv2_nas.search.proposals import Proposal, Proposals
from gnv2_nas.search.records import Candidate, Origin
from gnv2_nas.search.second_looks import second_looks
from gnv2_nas.search.status import Observer, Status
from gnv2_nas.search.storage.remeasured import with_latency
from gnv2_nas.search.storage.stored_study import Store
from gnv2_nas.search.storage.study_format import Progress, candidate_of
from gnv2_nas.search.working.workers import WorkerError
from gnv2_nas.space import SearchSpace

BATCH = 8
"""Networks that share the rounds of a measurement; so many evaluations a kill can cost."""
FINISHING = 0.2, 60.0
"""Share of the time, and seconds, that are kept for measuring the front in the end, at most."""
NOT_OF_THE_SEARCH: frozenset[Origin] = frozenset({"stock", "change"})
"""Evaluated beside the search: not among the networks that were asked for."""


class SearchLoop:
    """One run over a study, whose finished trials are `past`.

    Keeps the front and a few totals up to date, so that a progress line costs the same at the
    ten-thousandth trial as at the first.
    """

    def __init__(
        self,
        space: SearchSpace,
        store: Store,
        evaluator: Evaluator,
        proposals: Proposals,
        *,
        past: Sequence[Candidate],
        trials: int,
        timeout: float,
        stop_when_flat: bool = False,
        observer: Observer = lambda _: None,
    ) -> None:
        self.space, self.store = space, store
        self.evaluator, self.proposals = evaluator, proposals
        self.trials, self.timeout = trials, timeout
        self.stop_when_flat = stop_when_flat
        self.observer = observer
        self.candidates = {candidate.number: candidate for candidate in past}
        self.baselines = {candidate.baseline for candidate in past if candidate.baseline}
        searched = [candidate for candidate in past if _searched(candidate)]
        self.evaluated, self.feasible = len(searched), sum(each.feasible for each in searched)
        self.front = front_of(past, store.settings.objectives)
        self.failed: list[WorkerError] = []
        self._failed_in_a_row: list[WorkerError] = []
        share, seconds = FINISHING if store.settings.measures else (0.0, 0.0)
        self._for_finishing = min(share * timeout, seconds)
        self._has_reference = False
        self._before = store.progress
        self._evaluated_before = self.evaluated
        self._started = time.monotonic()

    def run(self) -> str:
        """Evaluate until the trials, the time or the space run out; returns which, in words."""
        self._evaluate_baselines()
        while self.evaluated < self.trials:
            if self.elapsed >= self.timeout - self._for_finishing:
                return "time is up"
            if len(self._failed_in_a_row) >= BATCH:
                return f"networks can no longer be scored: {self._failed_in_a_row[-1].reason}"
            if self.stop_when_flat and self._is_flat():
                return f"the front grew by less than {TOLERANCE:.1%} in {PATIENCE} networks"
            self.report("proposing")
            self._adopt()
            batch = self._propose(min(BATCH, self.trials - self.evaluated))
            if not batch:
                return "the space has no new network within the budgets"
            self.evaluate(batch, self._second_looks())
        return "all trials are done"

    def _is_flat(self) -> bool:
        candidates = [self.candidates[number] for number in sorted(self.candidates)]
        return is_flat(hypervolume_history(candidates, self.store.settings.objectives))

    def _adopt(self) -> None:
        """What another process on the same study has finished since."""
        trials = self.store.new_trials()
        self.proposals.learn(trials)
        for trial in trials:
            candidate = candidate_of(trial)
            self.proposals.seen.add(candidate.architecture.id)
            self._keep(candidate)

    def _propose(self, size: int) -> list[Proposal]:
        batch: list[Proposal] = []
        while len(batch) < size and (proposal := self.proposals.ask()) is not None:
            batch.append(proposal)
        self.store.save_progress(
            Progress(
                self._before.proposed + self.proposals.proposed,
                self._before.rejected + self.proposals.rejected,
                self._before.duplicates + self.proposals.duplicates,
            )
        )
        return batch

    def _second_looks(self) -> list[Candidate]:
        settings = self.store.settings
        if not settings.measures:
            return []
        candidates = list(self.candidates.values())
        return second_looks(candidates, self.front, settings.objectives, settings.budgets)

    def _evaluate_baselines(self) -> None:
        """Stock networks first: those inside the space seed the sampler, all are labelled."""
        stock = stock_networks(self.space)
        networks = {name: arch for name, arch in stock.items() if name not in self.baselines}
        if not networks:
            return
        self.report("measuring stock networks")
        scores = self.evaluator.scores(list(networks.values()))
        latencies = self.measure(list(networks.values()))
        for (name, arch), score, latency in zip(networks.items(), scores, latencies, strict=True):
            self.proposals.seen.add(arch.id)
            candidate = self.evaluator.candidate(
                arch, count(arch), latency, _known(score), baseline=name, origin="stock"
            )
            params = self.space.encode(arch)
            known = params is not None and not isinstance(score, WorkerError)
            proposal = self.proposals.ask_for(params, "stock") if known and params else None
            self._finish(candidate, proposal)
            self.baselines.add(name)

    def evaluate(
        self,
        batch: Sequence[Proposal],
        again: Sequence[Candidate] = (),
        beside: Sequence[Candidate] = (),
        **options: Any,
    ) -> None:
        """Score and measure a batch, and keep it.

        Args:
            again: finished ones that are measured once more in the same rounds.
            beside: finished ones that the batch is compared with: their latency becomes that of
                these rounds.
            options: of `Evaluator.measure`.
        """
        networks = [proposal.architecture for proposal in batch]
        self.report("scoring")
        scores = self.evaluator.scores(networks, lambda done: self.report(f"scoring, {done}"))
        self.report("measuring")
        others = [candidate.architecture for candidate in (*again, *beside)]
        latencies = self.measure([*networks, *others], **options)
        for proposal, score, latency in zip(batch, scores, latencies[: len(batch)], strict=True):
            if isinstance(score, WorkerError):
                self.failed.append(score)
                self._failed_in_a_row.append(score)
                self.proposals.tell_failed(proposal)
                continue
            self._failed_in_a_row.clear()
            candidate = self.evaluator.candidate(
                proposal.architecture,
                proposal.counts,
                latency,
                score,
                params=proposal.trial.params,
                origin=proposal.origin,
                predicted=dict(proposal.predicted),
            )
            self._finish(candidate, proposal)
        later = latencies[len(batch) :]
        for candidate, latency in zip(again, later[: len(again)], strict=True):
            if latency is not None and candidate.latency is not None:
                self._correct(candidate, pooled(candidate.latency, latency))
        for candidate, latency in zip(beside, later[len(again) :], strict=True):
            if latency is not None:
                self._correct(candidate, latency)
        if later:
            # Some may have left the front, so that others are on it again.
            self.front = front_of(list(self.candidates.values()), self.store.settings.objectives)
        self.report("keeping")

    def measure(self, networks: Sequence[Architecture], **options: Any) -> list[Measurement | None]:
        """As the evaluator does; what it finds out about the reference is kept."""
        latencies = self.evaluator.measure(networks, **options)
        return self._in_one_reference(latencies) if not self._has_reference else latencies

    def _correct(self, candidate: Candidate, latency: Measurement) -> None:
        """Keep a later latency of a finished trial, and tell the models."""
        self.store.save_remeasured(candidate.number, latency)
        corrected = with_latency(candidate, latency, self.store.settings.budgets)
        self.proposals.correct(corrected)
        self.feasible += _searched(candidate) * (corrected.feasible - candidate.feasible)
        self.candidates[candidate.number] = corrected

    def _finish(self, candidate: Candidate, proposal: Proposal | None) -> None:
        trial = None if proposal is None else self.proposals.tell(proposal, candidate)
        number = self.store.append(candidate, trial)
        if proposal is not None:
            self.proposals.stored_as(proposal, number)
        self._keep(msgspec.structs.replace(candidate, number=number))

    def _keep(self, candidate: Candidate) -> None:
        if candidate.number in self.candidates:
            return
        self.candidates[candidate.number] = candidate
        # What is dominated once stays dominated: the front and the newcomer decide.
        self.front = front_of([*self.front, candidate], self.store.settings.objectives)
        if _searched(candidate):
            self.evaluated += 1
            self.feasible += candidate.feasible

    def _in_one_reference(
        self, latencies: Sequence[Measurement | None]
    ) -> list[Measurement | None]:
        """The first measurement of a study decides what its milliseconds are expressed in.

        Another process may have been first while this one measured: then that one's is taken.
        """
        first = next((each for each in latencies if each is not None), None)
        if first is None:
            return list(latencies)
        kept = self.store.keep_reference(self.evaluator.reference_ms, first.fingerprint)
        self._has_reference = True
        if kept.reference_ms is None:
            return list(latencies)
        self.evaluator.reference_ms = kept.reference_ms
        return [each and in_milliseconds_of(kept.reference_ms, each) for each in latencies]

    @property
    def elapsed(self) -> float:
        return time.monotonic() - self._started

    def report(self, doing: str) -> None:
        """Tell the observer how far the search is, and what it is doing."""
        self.observer(
            Status(
                evaluated=self.evaluated,
                wanted=self.trials,
                proposed=self._before.proposed + self.proposals.proposed,
                rejected=self._before.rejected + self.proposals.rejected,
                feasible=self.feasible,
                front=len(self.front),
                best=self.front[0] if self.front else None,
                seconds=self.elapsed,
                seconds_left=self._seconds_left(),
                doing=doing,
            )
        )

    def _seconds_left(self) -> float | None:
        done = self.evaluated - self._evaluated_before
        if done == 0:
            return None
        by_trials = self.elapsed / done * (self.trials - self.evaluated)
        return max(0.0, min(by_trials, self.timeout - self.elapsed))


def _searched(candidate: Candidate) -> bool:
    """Whether it is one of the networks that `--trials` counts."""
    return not candidate.baseline and candidate.origin not in NOT_OF_THE_SEARCH


def _known(score: Score) -> float | None:
    return None if isinstance(score, WorkerError) else score
