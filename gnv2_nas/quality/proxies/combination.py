"""A combination of scores: the mean of their z-scores among random networks of a space.

Scores have different units, so each is measured in deviations from the networks of the space. Ranks
would do that too, but networks beyond all others would have equal ones, and those are what a search
looks for. Median and quartiles stand for mean and standard deviation, because a few outliers move
them less.
"""

from __future__ import annotations

import random
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from statistics import fmean

from gnv2_nas.arch import Architecture
from gnv2_nas.quality.base import EstimatorInfo, QualityEstimator
from gnv2_nas.space import SearchSpace, load_space

_SPACE = "ghostnetv2"
"""Space of the random networks when none is given."""
REFERENCE_NETWORKS = 32
_QUARTILES_APART = 1.35
"""Distance of the quartiles of a normal distribution, in standard deviations."""


class Combination:
    """Mean z-score of a network among random networks of a space, which the first call scores.

    Args:
        info: label of the combination.
        parts: the scores, none of which depends on the space.
        space: space of the random networks; None means the built-in ghostnetv2.
    """

    def __init__(
        self, info: EstimatorInfo, parts: Sequence[QualityEstimator], space: SearchSpace | None
    ) -> None:
        self.info = info
        self.space = load_space(_SPACE) if space is None else space
        self._parts = [_Part(part.info.name, part) for part in parts]

    def score(self, arch: Architecture) -> float:
        """Compute the mean over the parts of (score - median) / deviation."""
        scales = [_scale(part, self.space) for part in self._parts]
        return fmean(
            (part.estimator.score(arch) - middle) / deviation
            for part, (middle, deviation) in zip(self._parts, scales, strict=True)
        )


@dataclass(frozen=True)
class _Part:
    """A score; those of one name are equal, so that their scale is computed once."""

    name: str
    estimator: QualityEstimator = field(compare=False)


@lru_cache(maxsize=16)
def _scale(part: _Part, space: SearchSpace) -> tuple[float, float]:
    """Median and deviation of a score over random networks of a space."""
    rng = random.Random(0)
    scores = [part.estimator.score(space.sample(rng)) for _ in range(REFERENCE_NETWORKS)]
    low, middle, high = statistics.quantiles(scores, n=4)
    return middle, (high - low) / _QUARTILES_APART or 1.0
