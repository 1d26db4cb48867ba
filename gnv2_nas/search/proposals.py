"""Proposals of the sampler that keep the budgets by arithmetic and are new.

Proposals live in an Optuna study in memory, so that one costs milliseconds; the store keeps
finished trials. The sampler is told that a network which arithmetic rejects was pruned, with its
constraints. After several misses in a row a network is repaired, so the loop always ends.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any

import msgspec
import optuna
from optuna.trial import FrozenTrial, TrialState, create_trial

from gnv2_nas.graph import count
from gnv2_nas.search.pace import Deadline
from gnv2_nas.search.sampler.predictor_sampler import PredictorSampler
from gnv2_nas.search.study.budgets import Budget, Params, find_feasible, keeps_budgets
from gnv2_nas.search.study.metrics import LATENCY_RATIO, get_metric
from gnv2_nas.search.study.records import Origin, Prediction, Trial
from gnv2_nas.space import SearchSpace

MISSES_BEFORE_REPAIR = 8
MISSES_BEFORE_GIVING_UP = 400


class Proposals:
    """Asks the sampler for networks and tells it their values.

    Args:
        seen: ids of all evaluated networks, baselines included; updated in place, so that it can
            be shared.
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
        # Its initial design does not learn from rejected networks.
        self._patience = 1 if isinstance(sampler, PredictorSampler) else MISSES_BEFORE_REPAIR
        self._asked: dict[str, optuna.Trial] = {}
        self._numbers: dict[str, list[int]] = {}
        self._study = optuna.create_study(
            directions=[get_metric(name).direction for name in objectives], sampler=sampler
        )

    def learn(self, trials: Iterable[Trial]) -> None:
        """Take over finished trials of the store, of an earlier run or of another process.

        Constraints are computed anew from the values: an earlier version named them by the text
        of the budget.
        """
        for trial in trials:
            # A trial without parameters would empty the intersection that samplers search in.
            if trial.sampled is None or not trial.params:
                continue
            self._add(trial, trial.sampled)

    def _add(self, trial: Trial, sampled: FrozenTrial) -> None:
        values = self._values(trial)
        complete = all(map(math.isfinite, values))
        self._study.add_trial(
            create_trial(
                state=TrialState.COMPLETE if complete else TrialState.PRUNED,
                values=values if complete else None,
                params=sampled.params,
                distributions=sampled.distributions,
                system_attrs=_drop_constraints(sampled.system_attrs),
                constraints=trial.excesses,
            )
        )
        number = len(self._told) - 1
        self._numbers.setdefault(trial.architecture.id, []).append(number)
        if not complete:
            self.update(trial)

    def ask(self, deadline: Deadline = Deadline()) -> Trial | None:  # noqa: B008  frozen
        """The next network to evaluate, which keeps every budget that arithmetic can check.

        None when the space seems to have no new one, or when none was found in time.
        """
        for miss in range(1, MISSES_BEFORE_GIVING_UP + 1):
            if deadline.is_over:
                break
            asked, trial = self._ask()
            self.proposed += 1
            broken = not keeps_budgets(self.budgets, trial.counts)
            if not broken and trial.architecture.id not in self.seen:
                self.seen.add(trial.architecture.id)
                self._asked[trial.architecture.id] = asked
                return trial
            self._turn_down(asked, trial)
            self.rejected += broken
            self.duplicates += not broken
            if miss % self._patience == 0:
                self._study.enqueue_trial(self._repair(dict(trial.params), broken))
        return None

    def ask_for(self, params: Params, origin: Origin) -> Trial:
        """A trial of a given genotype, whatever its budgets."""
        self._study.enqueue_trial(params)
        asked, trial = self._ask()
        self._asked[trial.architecture.id] = asked
        return msgspec.structs.replace(trial, origin=origin, predicted={})

    def _ask(self) -> tuple[optuna.Trial, Trial]:
        asked = self._study.ask()
        architecture = self.space.suggest(asked)
        origin, predicted = self._where_from(asked)
        trial = Trial(
            architecture=architecture,
            params=asked.params,
            counts=count(architecture),
            budgets=tuple(self.budgets),
            origin=origin,
            predicted=predicted,
        )
        return asked, trial

    def _where_from(self, asked: optuna.Trial) -> tuple[Origin, dict[str, Prediction]]:
        if isinstance(self._sampler, optuna.samplers.RandomSampler):
            return "random", {}
        if not isinstance(self._sampler, PredictorSampler):
            return "sampler", {}
        expected = self._sampler.expected(asked.number)
        if expected is None:
            return "random", {}
        outcomes = zip(self.objectives, expected.means, expected.stds, strict=True)
        # A deviation of 0 is arithmetic, not a prediction.
        return "model", {name: Prediction(mean, std) for name, mean, std in outcomes if std}

    def tell(self, trial: Trial) -> Trial:
        """Tell the sampler the values of a trial that was evaluated.

        Returns:
            The trial with the sampler's record of it, to be stored.
        """
        asked = self._asked.pop(trial.architecture.id)
        _set_constraints(asked, trial)
        values = self._values(trial)
        if all(map(math.isfinite, values)):
            self._study.tell(asked, values)
        else:  # a device failed: what is known is told to the models
            self._study.tell(asked, state=TrialState.PRUNED)
        self._numbers.setdefault(trial.architecture.id, []).append(asked.number)
        sampled = self._told[asked.number]
        if sampled.state is TrialState.PRUNED:
            self.update(trial)
        return msgspec.structs.replace(trial, sampled=sampled)

    def tell_failed(self, trial: Trial) -> None:
        """Tell the sampler that the network could not be scored: nothing is known of it."""
        self._study.tell(self._asked.pop(trial.architecture.id), state=TrialState.FAIL)

    def reseed(self) -> None:
        """Propose other networks than another process that began with the same seed."""
        self.rng.seed()
        self._sampler.reseed_rng()

    def withdraw(self, trial: Trial) -> None:
        """The network was not evaluated; it may be proposed again."""
        self.tell_failed(trial)
        self.seen.discard(trial.architecture.id)

    def update(self, trial: Trial) -> None:
        """Tell the models the values that a trial has by now, after it was measured again."""
        if isinstance(self._sampler, PredictorSampler):
            for number in self._numbers.get(trial.architecture.id, ()):
                self._sampler.correct(number, self._values(trial), trial.excesses)
            return
        told = [self._told[number] for number in self._numbers.get(trial.architecture.id, ())]
        complete = all(map(math.isfinite, self._values(trial)))
        if complete and trial.sampled and TrialState.COMPLETE not in [each.state for each in told]:
            self._add(trial, trial.sampled)  # a device that failed is back

    @property
    def _told(self) -> list[FrozenTrial]:
        return self._study.get_trials(deepcopy=False)

    def _values(self, trial: Trial) -> list[float]:
        """The objectives of a trial; the worst ratio is that of the devices that measured it."""
        known = msgspec.structs.replace(trial, latencies=trial.measured_on)
        return [(known if name == LATENCY_RATIO else trial).value(name) for name in self.objectives]

    def _turn_down(self, asked: optuna.Trial, trial: Trial) -> None:
        """Prune the trial with its constraints: TPE learns by how much a budget is broken."""
        _set_constraints(asked, trial)
        self._study.tell(asked, state=TrialState.PRUNED)

    def _repair(self, params: Params, broken: bool) -> Params:
        """Change `params` until it keeps the budgets, or until it is likely to be new."""
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
        """`params` with the genes `names` of a genotype that keeps the budgets."""
        return params | {name: self._feasible[name] for name in names}

    @cached_property
    def _feasible(self) -> Params:
        return find_feasible(self.space, self.budgets)

    def _keeps_budgets(self, params: Params) -> bool:
        return keeps_budgets(self.budgets, count(self.space.decode(params)))


def _set_constraints(asked: optuna.Trial, trial: Trial) -> None:
    """Give Optuna's trial one constraint for each budget that is known to be kept or broken."""
    for metric, excess in trial.excesses.items():
        asked.set_constraint(metric, excess)


def _drop_constraints(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """What samplers attached to a trial, without its constraints."""
    return {
        key: value
        for key, value in attributes.items()
        if key != "constraints" and not key.startswith("constraints:")
    }
