"""Plain Optuna studies with a `PredictorSampler`: toy problems over every kind of parameter."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import FrozenTrial, Trial, TrialState

import gnv2_nas as gn

Space = dict[str, BaseDistribution]
Objective = Callable[[Trial], Any]
"""Values of a trial; None for one that is pruned."""

EVERY_KIND: Space = {
    "numbers": CategoricalDistribution([3, 1, 2.5]),
    "strings": CategoricalDistribution(["a", "b", "c"]),
    "bools": CategoricalDistribution([False, True]),
    "mixed": CategoricalDistribution([None, 4, "four", float("nan")]),
    "one": CategoricalDistribution(["only"]),
    "int": IntDistribution(-2, 3),
    "step": IntDistribution(1, 17, step=4),
    "log": IntDistribution(1, 1000, log=True),
    "wide": IntDistribution(0, 10**18),
    "same": IntDistribution(5, 5),
    "float": FloatDistribution(-1.0, 1.0),
    "tenths": FloatDistribution(0.1, 0.3, step=0.1),
    "small": FloatDistribution(1e-9, 1.0, log=True),
}
FOURS: Space = {f"x{number}": CategoricalDistribution([0, 1, 2, 3]) for number in range(6)}


def study_with(seed: int = 0, directions: Sequence[str] = ("minimize",), **options: Any) -> Any:
    sampler = gn.PredictorSampler(seed=seed, **options)
    return optuna.create_study(directions=list(directions), sampler=sampler)


def ask(study: optuna.Study, space: Space, count: int, objective: Objective) -> list[FrozenTrial]:
    """So many trials, each told what `objective` gives before the next is asked for."""
    numbers = []
    for _ in range(count):
        trial = study.ask(space)
        numbers.append(trial.number)
        values = objective(trial)
        study.tell(trial, values, state=None if values is not None else TrialState.PRUNED)
    trials = study.trials
    return [trials[number] for number in numbers]


def genotypes(trials: Sequence[FrozenTrial]) -> list[str]:
    return [repr(sorted(each.params.items())) for each in trials]


def total(trial: Trial) -> float:
    return float(sum(trial.params.values()))


def additive(parameters: int, levels: int, seed: int = 0) -> tuple[Space, Objective]:
    """A space, and the sum of what each level of each parameter is worth."""
    names = [f"x{number:02d}" for number in range(parameters)]
    worth = np.random.default_rng(seed).normal(size=(parameters, levels))
    space: Space = {name: CategoricalDistribution(list(range(levels))) for name in names}

    def value(trial: Trial) -> float:
        return float(sum(worth[n, trial.params[name]] for n, name in enumerate(names)))

    return space, value
