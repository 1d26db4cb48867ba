"""The search: propose, reject by arithmetic, score and measure in batches, keep."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import msgspec

from gnv2_nas.graph import count
from gnv2_nas.profiling import Measurement
from gnv2_nas.search.baselines import stock_networks
from gnv2_nas.search.evaluate import Evaluator
from gnv2_nas.search.pareto import front_of
from gnv2_nas.search.proposals import Proposal, Proposals
from gnv2_nas.search.records import Candidate
from gnv2_nas.search.store import Progress, Store
from gnv2_nas.space import SearchSpace

BATCH = 8
"""Networks that share the rounds of a measurement; so many evaluations a kill can cost."""


class Status(msgspec.Struct, frozen=True):
    """Where a search stands, for a progress line."""

    evaluated: int
    wanted: int
    proposed: int
    rejected: int
    feasible: int
    """Of the evaluated."""
    front: int
    best: Candidate | None
    """Best of the front in the first objective."""
    seconds: float
    seconds_left: float | None
    """Until the trials or the time run out, whichever comes first; None while unknown."""
    doing: str


Observer = Callable[[Status], None]


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
        observer: Observer = lambda _: None,
    ) -> None:
        self.space, self.store = space, store
        self.evaluator, self.proposals = evaluator, proposals
        self.trials, self.timeout = trials, timeout
        self.observer = observer
        self.baselines = {candidate.baseline for candidate in past if candidate.baseline}
        self.evaluated = sum(not candidate.baseline for candidate in past)
        self.feasible = sum(each.feasible and not each.baseline for each in past)
        self.front = front_of(past, store.settings.objectives)
        self._before = store.progress
        self._evaluated_before = self.evaluated
        self._started = time.monotonic()

    def run(self) -> str:
        """Evaluate until the trials, the time or the space run out; returns which, in words."""
        self._evaluate_baselines()
        while self.evaluated < self.trials:
            if self._elapsed() >= self.timeout:
                return "time is up"
            self._report("proposing")
            batch = self._propose(min(BATCH, self.trials - self.evaluated))
            if not batch:
                return "the space has no new network within the budgets"
            self._evaluate(batch)
        return "all trials are done"

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

    def _evaluate_baselines(self) -> None:
        """Stock networks first: those inside the space seed the sampler, all are labelled."""
        stock = stock_networks(self.space)
        networks = {name: arch for name, arch in stock.items() if name not in self.baselines}
        if not networks:
            return
        self._report("measuring stock networks")
        latencies = self.evaluator.measure(list(networks.values()))
        self._save_reference(latencies)
        for (name, arch), latency in zip(networks.items(), latencies, strict=True):
            self.proposals.seen.add(arch.id)
            candidate = self.evaluator.candidate(arch, count(arch), latency, baseline=name)
            params = self.space.encode(arch)
            proposal = None if params is None else self.proposals.ask_for(params)
            self._finish(candidate, proposal)
            self.baselines.add(name)

    def _evaluate(self, batch: Sequence[Proposal]) -> None:
        self._report("measuring")
        latencies = self.evaluator.measure([proposal.architecture for proposal in batch])
        self._save_reference(latencies)
        for proposal, latency in zip(batch, latencies, strict=True):
            self._report("scoring")
            candidate = self.evaluator.candidate(
                proposal.architecture, proposal.counts, latency, params=proposal.trial.params
            )
            self._finish(candidate, proposal)

    def _finish(self, candidate: Candidate, proposal: Proposal | None) -> None:
        trial = None if proposal is None else self.proposals.tell(proposal, candidate)
        number = self.store.append(candidate, trial)
        numbered = msgspec.structs.replace(candidate, number=number)
        # What is dominated once stays dominated: the front and the newcomer decide.
        self.front = front_of([*self.front, numbered], self.store.settings.objectives)
        if not candidate.baseline:
            self.evaluated += 1
            self.feasible += candidate.feasible

    def _save_reference(self, latencies: Sequence[Measurement | None]) -> None:
        """The first measurement of a study decides what its milliseconds are expressed in."""
        provenance, first = self.store.provenance, latencies[0]
        if provenance.fingerprint is None and first is not None:
            self.store.save_provenance(
                msgspec.structs.replace(
                    provenance,
                    reference_ms=self.evaluator.reference_ms,
                    fingerprint=first.fingerprint,
                )
            )

    def _elapsed(self) -> float:
        return time.monotonic() - self._started

    def _report(self, doing: str) -> None:
        self.observer(
            Status(
                evaluated=self.evaluated,
                wanted=self.trials,
                proposed=self._before.proposed + self.proposals.proposed,
                rejected=self._before.rejected + self.proposals.rejected,
                feasible=self.feasible,
                front=len(self.front),
                best=self.front[0] if self.front else None,
                seconds=self._elapsed(),
                seconds_left=self._seconds_left(),
                doing=doing,
            )
        )

    def _seconds_left(self) -> float | None:
        done = self.evaluated - self._evaluated_before
        if done == 0:
            return None
        by_trials = self._elapsed() / done * (self.trials - self.evaluated)
        return max(0.0, min(by_trials, self.timeout - self._elapsed()))
