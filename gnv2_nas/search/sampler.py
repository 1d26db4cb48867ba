"""Samplers by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gnv2_nas.errors import UnknownNameError

if TYPE_CHECKING:
    from optuna.samplers import BaseSampler

SAMPLERS = ("nsga2", "random", "tpe")


def check_sampler(name: str) -> str:
    """`name` itself when there is such a sampler; imports nothing heavy."""
    if name not in SAMPLERS:
        raise UnknownNameError("sampler", name, SAMPLERS)
    return name


def make_sampler(name: str, seed: int) -> BaseSampler:
    """A fresh Optuna sampler."""
    from optuna import samplers

    if check_sampler(name) == "nsga2":
        return samplers.NSGAIISampler(seed=seed, population_size=24)
    if name == "tpe":
        return samplers.TPESampler(seed=seed, constant_liar=True)
    return samplers.RandomSampler(seed=seed)
