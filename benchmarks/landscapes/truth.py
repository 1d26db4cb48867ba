"""`Truth`: one measured quantity as a function of the architecture, fitted to a few hundred.

A ridge regression on block features takes the large trends, and boosted trees what it leaves: sizes
that matter only together, thresholds. A search model that is itself a regression or a Gaussian
process on the parameters can learn this truth, but is not of its form.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import GradientBoostingRegressor
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import KFold, cross_val_predict
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

Matrix = NDArray[np.float64]
Vector = NDArray[np.float64]

FOLDS = 8
PENALTIES = np.logspace(-1, 4, 21)


@dataclass(frozen=True)
class Truth:
    """A fitted quantity; immutable, and as fast for one network as Python allows."""

    slope: Vector
    """(d,) of the raw features."""
    intercept: float
    trees: Any
    """A `GradientBoostingRegressor` of what the line leaves."""

    def __call__(self, features: Matrix) -> Vector:
        """(n,) values of (n, d) features."""
        line: Vector = features @ self.slope + self.intercept
        rest: Vector = self.trees.predict(features)
        return line + rest


def fit_truth(features: Matrix, outcomes: Vector) -> Truth:
    """The truth behind (n,) outcomes of networks with (n, d) features.

    The trees are fitted to errors of lines that did not see the outcome, so that noise which a
    line would have swallowed does not hide what it cannot say.
    """
    folds = KFold(FOLDS, shuffle=True, random_state=0)
    errors = outcomes - cross_val_predict(_line(), features, outcomes, cv=folds)
    scaler, ridge = (step for _, step in _line().fit(features, outcomes).steps)
    slope = ridge.coef_ / scaler.scale_
    trees = GradientBoostingRegressor(
        n_estimators=150, learning_rate=0.04, max_depth=3, subsample=0.5, max_features=0.2,
        min_samples_leaf=4, random_state=0,
    )  # fmt: skip
    intercept = float(ridge.intercept_ - scaler.mean_ @ slope)
    return Truth(slope, intercept, trees.fit(features, errors))


def held_out_errors(features: Matrix, outcomes: Vector) -> Vector:
    """(n,) errors of truths that were fitted without the network in question."""
    found = np.empty_like(outcomes)
    for known, unknown in KFold(FOLDS, shuffle=True, random_state=1).split(features):
        truth = fit_truth(features[known], outcomes[known])
        found[unknown] = truth(features[unknown]) - outcomes[unknown]
    return found


def _line() -> Pipeline:
    return make_pipeline(StandardScaler(), RidgeCV(PENALTIES))
