"""Samplers by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from gnv2_nas.errors import UnknownNameError

if TYPE_CHECKING:
    from optuna.samplers import BaseSampler

    from gnv2_nas.search.sampler.encoders import GenotypeEncoder

BATCH_SIZE = 8
"""Networks that share the rounds of a measurement: no outcome is known before all are."""
SAMPLERS = ("predictor", "nsga2", "tpe", "gp", "random")


def check_sampler(name: str) -> str:
    """Return `name` if there is such a sampler; imports nothing heavy."""
    if name not in SAMPLERS:
        raise UnknownNameError("sampler", name, SAMPLERS)
    return name


def make_sampler(
    name: str,
    seed: int,
    encoder: Callable[[], GenotypeEncoder] | None = None,
    fronts: Sequence[Mapping[str, float]] = ({},),
) -> BaseSampler:
    """Make a sampler.

    Args:
        encoder: makes the encoder of `predictor`; Optuna's samplers use none.
        fronts: see `PredictorSampler`; Optuna's samplers extend that of the loosest limits.
    """
    from optuna import samplers

    if check_sampler(name) == "predictor":
        from gnv2_nas.search.sampler.predictor_sampler import PredictorSampler

        return PredictorSampler(
            seed=seed, batch_size=BATCH_SIZE, encoder=encoder and encoder(), fronts=fronts
        )
    if name == "nsga2":
        return samplers.NSGAIISampler(seed=seed, population_size=24)
    if name == "tpe":
        return samplers.TPESampler(seed=seed, constant_liar=True)
    if name == "gp":
        return samplers.GPSampler(seed=seed)
    return samplers.RandomSampler(seed=seed)
