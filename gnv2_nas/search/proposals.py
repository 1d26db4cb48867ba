"""From the sampler to networks worth building: feasible by arithmetic and never seen before.

Proposals live in an Optuna study in memory, so that a proposal costs milliseconds; finished
trials go to the store. What arithmetic rejects is told to the sampler as pruned, with its
constraint, and repaired after a few misses in a row: the loop ends whatever the budget.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from functools import cached_property

import msgspec
import optuna
from optuna.trial import FrozenTrial, Trial, TrialState

from gnv2_nas.arch import Architecture
from gnv2_nas.graph import Counts, count
from gnv2_nas.search.budgets import Params, excesses, find_feasible, violations
from gnv2_nas.search.objectives import DIRECTIONS
from gnv2_nas.search.records import Budget, Candidate, ObjectiveName
from gnv2_nas.space import SearchSpace

MISSES_BEFORE_REPAIR = 8
MISSES_BEFORE_GIVING_UP = 400


class Proposal(msgspec.Struct, frozen=True):
    """A network the sampler proposed, that keeps every budget arithmetic can check."""

    trial: Trial
    architecture: Architecture
    counts: Counts


class Proposals:
    """Asks the sampler and tells it what became of its proposals.

    Args:
        past: finished trials to go on from, as the store has them.
        seen: ids of every network already evaluated, baselines included.
    """

    def __init__(
        self,
        space: SearchSpace,
        budgets: Sequence[Budget],
        objectives: Sequence[ObjectiveName],
        sampler: optuna.samplers.BaseSampler,
        seed: int,
        past: Sequence[FrozenTrial] = (),
        seen: Sequence[str] = (),
    ) -> None:
        self.space = space
        self.budgets = budgets
        self.objectives = objectives
        self.rng = random.Random(f"{seed}/{len(seen)}")
        self.seen = set(seen)
        self.proposed = self.rejected = self.duplicates = 0
        self._study = optuna.create_study(
            directions=[DIRECTIONS[name] for name in objectives], sampler=sampler
        )
        # A trial without parameters would empty the intersection that samplers search in.
        self._study.add_trials([trial for trial in past if trial.params])

    def ask(self) -> Proposal | None:
        """The next network to evaluate, or None when the space seems to have no new one."""
        for miss in range(1, MISSES_BEFORE_GIVING_UP + 1):
            proposal = self._ask()
            self.proposed += 1
            broken = bool(violations(excesses(self.budgets, proposal.counts)))
            if not broken and proposal.architecture.id not in self.seen:
                self.seen.add(proposal.architecture.id)
                return proposal
            self._turn_down(proposal)
            self.rejected += broken
            self.duplicates += not broken
            if miss % MISSES_BEFORE_REPAIR == 0:
                self._study.enqueue_trial(self._repair(dict(proposal.trial.params), broken))
        return None

    def ask_for(self, params: Params) -> Proposal:
        """A trial of a given genotype, evaluated by the caller's own decision."""
        self._study.enqueue_trial(params)
        return self._ask()

    def _ask(self) -> Proposal:
        trial = self._study.ask()
        architecture = self.space.suggest(trial)
        return Proposal(trial, architecture, count(architecture))

    def tell(self, proposal: Proposal, candidate: Candidate) -> FrozenTrial:
        """Hand the sampler what became of a proposal; returns the finished trial to store."""
        excess = excesses(self.budgets, candidate.counts, candidate.latency)
        for text, value in excess.items():
            proposal.trial.set_constraint(text, value)
        self._study.tell(proposal.trial, [candidate.value(name) for name in self.objectives])
        return self._study.get_trials(deepcopy=False)[proposal.trial.number]

    def _turn_down(self, proposal: Proposal) -> None:
        """Pruned with its constraints: TPE learns from by how much a budget is broken."""
        for text, value in excesses(self.budgets, proposal.counts).items():
            proposal.trial.set_constraint(text, value)
        self._study.tell(proposal.trial, state=TrialState.PRUNED)

    def _repair(self, params: Params, broken: bool) -> Params:
        """A neighbour of `params` that has a chance: within budget, or not seen yet."""
        genes = [gene.name for gene in self.space.genes]
        self.rng.shuffle(genes)
        if not broken:
            for name in genes[: max(1, len(genes) // 8)]:
                choices = next(gene.choices for gene in self.space.genes if gene.name == name)
                params[name] = self.rng.choice(choices)
        low, high = 0, len(genes)
        while low < high:
            middle = (low + high) // 2
            if self._keeps_budgets(self._mixed(params, genes[:middle])):
                high = middle
            else:
                low = middle + 1
        return self._mixed(params, genes[:high])

    def _mixed(self, params: Params, names: Sequence[str]) -> Params:
        """`params` with the genes `names` taken from a genotype known to keep the budgets."""
        return params | {name: self._feasible[name] for name in names}

    @cached_property
    def _feasible(self) -> Params:
        return find_feasible(self.space, self.budgets)

    def _keeps_budgets(self, params: Params) -> bool:
        counts = count(self.space.decode(params))
        return not violations(excesses(self.budgets, counts))
