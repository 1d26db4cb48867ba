"""From the sampler to networks worth building: feasible by arithmetic and never seen before.

Proposals live in an Optuna study in memory, so that a proposal costs milliseconds; finished
trials go to the store. What arithmetic rejects is told to the sampler as pruned, with its
constraint, and repaired after a few misses in a row: the loop ends whatever the budget.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property

import msgspec
import optuna
from optuna.trial import FrozenTrial, TrialState

from gnv2_nas.arch import Architecture
from gnv2_nas.graph import Counts, count
from gnv2_nas.search.pace import Deadline
from gnv2_nas.search.sampler.predictor_sampler import PredictorSampler
from gnv2_nas.search.study.budgets import Budget, Params, excesses, find_feasible, keeps_budgets
from gnv2_nas.search.study.metrics import Counted, get_metric
from gnv2_nas.search.study.records import Origin, Prediction, Trial
from gnv2_nas.space import SearchSpace

MISSES_BEFORE_REPAIR = 8
MISSES_BEFORE_GIVING_UP = 400


class Proposal(msgspec.Struct, frozen=True):
    """A network the sampler proposed, that keeps every budget arithmetic can check."""

    trial: optuna.Trial
    architecture: Architecture
    counts: Counts
    origin: Origin = "sampler"
    predicted: Mapping[str, Prediction] = {}


class Proposals:
    """Asks the sampler and tells it what became of its proposals.

    Args:
        seen: ids of every network already evaluated, baselines included; kept up to date, so
            that others may look at it, too.
    """

    def __init__(
        self,
        space: SearchSpace,
        budgets: Sequence[Budget],
        objectives: Sequence[str],
        sampler: optuna.samplers.BaseSampler,
        seed: int,
        seen: set[str] | None = None,
    ) -> None:
        self.space = space
        self.budgets = budgets
        self.objectives = objectives
        self.seen = set() if seen is None else seen
        self.rng = random.Random(f"{seed}/{len(self.seen)}")
        self.proposed = self.rejected = self.duplicates = 0
        self._sampler = sampler
        # Its initial design is not meant to learn from what is turned down.
        self._patience = 1 if isinstance(sampler, PredictorSampler) else MISSES_BEFORE_REPAIR
        self._numbers: dict[int, int] = {}
        self._study = optuna.create_study(
            directions=[get_metric(name).direction for name in objectives], sampler=sampler
        )

    def learn(self, trials: Iterable[FrozenTrial]) -> None:
        """Take over finished trials of the store, of an earlier run or of another process."""
        for trial in trials:
            # A trial without parameters would empty the intersection that samplers search in.
            if trial.params:
                self._study.add_trial(trial)
                self._numbers[trial.number] = len(self._study.get_trials(deepcopy=False)) - 1

    def ask(self, deadline: Deadline = Deadline()) -> Proposal | None:  # noqa: B008  frozen
        """The next network to evaluate; None when the space seems to have no new one, or when
        none was found in time."""
        for miss in range(1, MISSES_BEFORE_GIVING_UP + 1):
            if deadline.is_over:
                break
            proposal = self._ask()
            self.proposed += 1
            broken = not keeps_budgets(self.budgets, proposal.counts)
            if not broken and proposal.architecture.id not in self.seen:
                self.seen.add(proposal.architecture.id)
                return proposal
            self._turn_down(proposal)
            self.rejected += broken
            self.duplicates += not broken
            if miss % self._patience == 0:
                self._study.enqueue_trial(self._repair(dict(proposal.trial.params), broken))
        return None

    def ask_for(self, params: Params, origin: Origin) -> Proposal:
        """A trial of a given genotype, evaluated by the caller's own decision."""
        self._study.enqueue_trial(params)
        return msgspec.structs.replace(self._ask(), origin=origin, predicted={})

    def _ask(self) -> Proposal:
        trial = self._study.ask()
        architecture = self.space.suggest(trial)
        origin, predicted = self._where_from(trial)
        return Proposal(trial, architecture, count(architecture), origin, predicted)

    def _where_from(self, trial: optuna.Trial) -> tuple[Origin, dict[str, Prediction]]:
        if isinstance(self._sampler, optuna.samplers.RandomSampler):
            return "random", {}
        if not isinstance(self._sampler, PredictorSampler):
            return "sampler", {}
        expected = self._sampler.expected(trial.number)
        if expected is None:
            return "random", {}
        outcomes = zip(self.objectives, expected.means, expected.stds, strict=True)
        # A deviation of 0 is arithmetic, not a prediction.
        return "model", {name: Prediction(mean, std) for name, mean, std in outcomes if std}

    def tell(self, proposal: Proposal, candidate: Trial) -> FrozenTrial:
        """Hand the sampler what became of a proposal; returns the finished trial to store."""
        for metric, value in candidate.excesses.items():
            proposal.trial.set_constraint(metric, value)
        self._study.tell(proposal.trial, self._values(candidate))
        return self._study.get_trials(deepcopy=False)[proposal.trial.number]

    def tell_failed(self, proposal: Proposal) -> None:
        """Nothing is known of the network: it could not be scored."""
        self._study.tell(proposal.trial, state=TrialState.FAIL)

    def withdraw(self, proposal: Proposal) -> None:
        """The network was not evaluated; it may be proposed again."""
        self.tell_failed(proposal)
        self.seen.discard(proposal.architecture.id)

    def stored_as(self, proposal: Proposal, number: int) -> None:
        """Say which number a proposal has in the store."""
        self._numbers[number] = proposal.trial.number

    def correct(self, candidate: Trial) -> None:
        """A finished trial was measured again: the models shall know."""
        number = self._numbers.get(candidate.number)
        if number is not None and isinstance(self._sampler, PredictorSampler):
            self._sampler.correct(number, self._values(candidate), candidate.excesses)

    def _values(self, candidate: Trial) -> list[float]:
        return [candidate.value(name) for name in self.objectives]

    def _turn_down(self, proposal: Proposal) -> None:
        """Pruned with its constraints: TPE learns from by how much a budget is broken."""
        for metric, value in excesses(self.budgets, Counted(proposal.counts)).items():
            proposal.trial.set_constraint(metric, value)
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
        return keeps_budgets(self.budgets, count(self.space.decode(params)))
