"""The protocol of quality estimators, and what they may need to know.

Nothing heavy is imported.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from gnv2_nas.arch import Architecture
from gnv2_nas.quality.catalogue import EstimatorInfo

if TYPE_CHECKING:
    from gnv2_nas.data import Dataset
    from gnv2_nas.space import SearchSpace


class QualityEstimator(Protocol):
    """Scores an architecture; higher is better."""

    @property
    def info(self) -> EstimatorInfo: ...

    def score(self, arch: Architecture) -> float:
        """The same value for the same architecture, in every process; an accuracy in per cent."""
        ...


@dataclass(frozen=True)
class QualityContext:
    """What some estimators need to know besides the network."""

    space: SearchSpace | None = None
    dataset: Dataset | None = None
    seed: int = 0
    """Of trainings. Data-free scores have their own, so that those of two studies compare."""


NO_CONTEXT = QualityContext()
