"""The hypervolume of a set of losses: how much of the space up to a reference they dominate.

Zitzler & Thiele, "Multiobjective evolutionary algorithms: a comparative case study and the
strength Pareto approach", IEEE Trans. Evolutionary Computation 3 (1999), sec. III.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Losses = NDArray[np.float64]


def hypervolume(losses: Losses, reference: Losses) -> float:
    """Volume between a reference and the losses that are better than it in every column; exact.

    For up to about five objectives; the cost grows with a power of the size of the front.

    Args:
        losses: (n, k); less is better. Rows with a NaN, or no better than the reference in a
            column, count nothing.
        reference: (k,), finite.

    Raises:
        ValueError: the shapes do not fit, or the reference is not finite.
    """
    losses, reference = np.asarray(losses, float), np.asarray(reference, float)
    if losses.ndim != 2 or reference.shape != losses.shape[1:] or not len(reference):
        raise ValueError(
            "shapes must be (n, k) and (k,) with `k >= 1`, "
            f"but got {losses.shape} and {reference.shape}"
        )
    if not np.isfinite(reference).all():
        raise ValueError(f"the reference must be finite, but got {reference.tolist()}")
    return _volume(losses[(losses < reference).all(axis=1)], reference)


def hypervolume_gain(loss: Losses, losses: Losses, reference: Losses) -> float:
    """What one more row (k,) adds to the hypervolume of (n, k) `losses`.

    Its own box, less what the others cover of it (While, Bradstreet & Barone, "A fast way of
    calculating exact hypervolumes", IEEE Trans. Evolutionary Computation 16, 2012, eq. 2).
    """
    if not (loss < reference).all():
        return 0.0
    own = float(np.prod(reference - loss))
    covered = np.maximum(losses, loss)
    return max(0.0, own - _volume(covered[(covered < reference).all(axis=1)], reference))


def _volume(losses: Losses, reference: Losses) -> float:
    """Of rows that all improve on the reference."""
    if not len(losses):
        return 0.0
    if len(reference) == 1:
        return float(reference[0] - losses.min())
    if len(reference) == 2:
        return _area(losses, reference)
    return _sliced(_front(losses), reference)


def _area(losses: Losses, reference: Losses) -> float:
    """Two objectives: the steps of a staircase, from the row best in the first to the worst."""
    rows = losses[np.argsort(losses[:, 0])]
    lowest = np.minimum.accumulate(np.concatenate([reference[1:], rows[:, 1]]))
    return float((reference[0] - rows[:, 0]) @ -np.diff(lowest))


def _front(losses: Losses) -> Losses:
    """The rows that no other dominates, each once.

    Rows are kept best sum first, and whatever one covers falls away: the usual case here is a
    few rows that cover hundreds.
    """
    left, kept = losses[np.argsort(losses.sum(axis=1))], []
    while len(left):
        kept.append(left[0])
        left = left[(left < left[0]).any(axis=1)]
    return np.array(kept)


def _sliced(losses: Losses, reference: Losses) -> float:
    """Three and more: what each row adds to those that are better in the last objective.

    Within its box those are all as good as it in that objective, so that one falls away.
    """
    rows = losses[np.argsort(losses[:, -1])]
    flat, height = rows[:, :-1], reference[-1] - rows[:, -1]
    gains = [hypervolume_gain(flat[n], flat[:n], reference[:-1]) for n in range(len(rows))]
    return float(height @ np.array(gains))
