"""`Landscape`: what a sampler is tried on when the truth is known."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from optuna.trial import Trial

Params = Mapping[str, Any]
Values = tuple[float, ...]


class Landscape(Protocol):
    """A search problem whose true values are known to the benchmark and hidden from the sampler.

    It asks an Optuna trial for plain parameters and nothing else, so any sampler can be tried.
    """

    name: str
    directions: tuple[str, ...]
    """`maximize` or `minimize`, one an objective."""
    reference: Values
    """What the hypervolume is measured from, in the units of the objectives."""

    def suggest(self, trial: Trial) -> Params:
        """Every parameter of the space, asked of the trial."""

    def true_values(self, params: Params) -> Values:
        """One value an objective, without noise."""

    def evaluate(self, params: Params, rng: random.Random) -> Values:
        """`true_values` with the noise of one evaluation."""

    def constraints(self, params: Params) -> Mapping[str, float]:
        """Name → excess, exactly known before evaluating; at most 0 is feasible."""
