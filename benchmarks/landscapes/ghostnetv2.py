"""The landscape of our own space: Zen-score and latency, fitted to networks that were measured.

The noise is what one evaluation of a search has: that of a Zen-score of two draws, and of a ratio
measured in a batch of eight.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from benchmarks.landscapes.drawing import from_digits
from benchmarks.landscapes.landscape import Params, Values
from benchmarks.landscapes.measuring import SPACE, Row, read_rows
from benchmarks.landscapes.truth import Matrix, Vector, fit_truth, held_out_errors
from gnv2_nas.quality.predictor.features import features
from gnv2_nas.space import load_space
from gnv2_nas.stats.intervals import Z95

if TYPE_CHECKING:
    from optuna.trial import Trial


class Ghostnetv2:
    """The space `ghostnetv2`, as it was before the axis `ghost`, with a fitted truth.

    Args:
        rows: the measured networks; those of the repository unless given.
    """

    name = "ghostnetv2"
    directions: tuple[str, ...] = ("maximize", "minimize")
    reference: Values = (88.0, 2.5)
    """Zen-score, and latency relative to stock GhostNetV2 1.0."""

    def __init__(self, rows: Sequence[Row] | None = None) -> None:
        self.space = load_space(SPACE)
        self.rows = read_rows() if rows is None else rows
        self._used, self._filling = _usable(self._raw(self._measured))
        known = self._features(self._measured)
        self._zen = fit_truth(known, self._zen_scores)
        self._log_ratio = fit_truth(known, self._log_ratios)
        draws = np.array([row.zen_first - row.zen_second for row in self.rows])
        self.zen_noise = float(draws.std()) / 2
        self.latency_noise = float(np.median([row.half_width for row in self.rows])) / Z95

    def suggest(self, trial: Trial) -> Params:
        return {
            gene.name: trial.suggest_categorical(gene.name, gene.choices)
            for gene in self.space.genes
        }

    def true_values(self, params: Params) -> Values:
        """Zen-score and latency ratio."""
        zen, ratio = self.true_values_of([params])[0]
        return float(zen), float(ratio)

    def true_values_of(self, many: Sequence[Params]) -> Matrix:
        """(n, 2) true values of many networks, much faster than one by one."""
        rows = self._features(many)
        return np.column_stack([self._zen(rows), np.exp(self._log_ratio(rows))])

    def losses_of(self, many: Sequence[Params]) -> Matrix:
        """(n, 2) true values with the sign that makes less better."""
        return self.true_values_of(many) * (-1, 1)

    def evaluate(self, params: Params, rng: random.Random) -> Values:
        zen, ratio = self.true_values(params)
        factor = math.exp(rng.gauss(0, self.latency_noise))
        return zen + rng.gauss(0, self.zen_noise), ratio * factor

    def constraints(self, params: Params) -> Mapping[str, float]:  # noqa: ARG002
        return {}

    def errors(self) -> tuple[Vector, Vector]:
        """Held-out errors of both truths: of the Zen-score, and of the log of the ratio."""
        known = self._features(self._measured)
        return held_out_errors(known, self._zen_scores), held_out_errors(known, self._log_ratios)

    @property
    def _zen_scores(self) -> Vector:
        return np.array([(row.zen_first + row.zen_second) / 2 for row in self.rows])

    @property
    def _log_ratios(self) -> Vector:
        return np.array([row.log_ratio for row in self.rows])

    @property
    def _measured(self) -> list[Params]:
        return [from_digits(self.space, row.genotype) for row in self.rows]

    def _raw(self, many: Sequence[Params]) -> Matrix:
        return features([self.space.decode(params) for params in many], self.space.supernet_spec)

    def _features(self, many: Sequence[Params]) -> Matrix:
        """(n, d) features that vary in the data; what a network does not have takes the mean."""
        rows = self._raw(many)[:, self._used]
        return np.where(np.isnan(rows), self._filling, rows)


def _usable(rows: Matrix) -> tuple[NDArray[np.bool_], Vector]:
    """Which columns vary over the rows, and the mean of each of those."""
    known = ~np.isnan(rows)
    mean = np.where(known, rows, 0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    used = np.where(known, rows - mean, 0).std(axis=0) > 1e-9
    return used, mean[used]
