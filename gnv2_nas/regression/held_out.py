"""Predictions of outcomes that a model had not seen: the only ones its error may be taken from."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from gnv2_nas.regression.ridge import Vector

FOLDS = 10

Numbers = NDArray[np.intp]
FitAndPredict = Callable[[Numbers, Numbers], Vector]
"""(outcomes to learn from, others), by number → what is predicted of the others."""


def folds(total: int, count: int = FOLDS) -> list[Numbers]:
    """Numbers 0 to total - 1 in `count` parts drawn at random, the same ones every time.

    As many parts as numbers leave one out at a time.
    """
    order = np.random.default_rng(0).permutation(total)
    return np.array_split(order, min(count, total))


def predict_held_out(
    parts: Sequence[Numbers], total: int, fit_and_predict: FitAndPredict
) -> Vector:
    """(total,) predictions, each part's by a model of all the others; NaN for what is in no part.

    Cross-validation where the parts are `folds`, a single held-out set where there is one part.
    """
    predicted = np.full(total, np.nan)
    for part in parts:
        known = np.delete(np.arange(total), part)
        predicted[part] = fit_and_predict(known, part)
    return predicted
