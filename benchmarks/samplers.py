"""The samplers that are compared, by name, each as a stock Optuna sampler."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping

from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler, GPSampler, NSGAIISampler, RandomSampler, TPESampler

from gnv2_nas.search.sampler.predictor_sampler import PredictorSampler

OURS, RANDOM, NSGA2 = "predictor", "random", "nsga2"

SAMPLERS: Mapping[str, Callable[[int], BaseSampler]] = {
    RANDOM: lambda seed: RandomSampler(seed=seed),
    NSGA2: lambda seed: NSGAIISampler(seed=seed),
    "nsga2-24": lambda seed: NSGAIISampler(seed=seed, population_size=24),
    "tpe": lambda seed: TPESampler(seed=seed),
    "tpe-group": lambda seed: TPESampler(seed=seed, multivariate=True, group=True),
    "gp": lambda seed: GPSampler(seed=seed),
    OURS: lambda seed: PredictorSampler(seed=seed),
}
"""Name → a fresh sampler of a seed; Optuna's defaults but for what the name says."""


def make_sampler(name: str, seed: int) -> BaseSampler:
    """A fresh sampler of `SAMPLERS`, without Optuna's word that it may change."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        return SAMPLERS[name](seed)
