"""Quality estimators: what a search maximises, by name."""

from __future__ import annotations

from typing import Protocol

from gnv2_nas.arch import Architecture
from gnv2_nas.errors import UnknownNameError
from gnv2_nas.graph import count

ESTIMATORS = ("params", "zen")


class QualityEstimator(Protocol):
    """Scores an architecture; higher is better."""

    name: str
    label: str
    """What to print on an axis. Says when the score is not an accuracy."""
    is_accuracy: bool

    def score(self, arch: Architecture) -> float:
        """The same value for the same architecture, in every process."""
        ...


class ParameterCount:
    """The baseline every other score must beat: bigger is better."""

    name = "params"
    label = "parameters, millions (baseline, not an accuracy)"
    is_accuracy = False

    def score(self, arch: Architecture) -> float:
        """Millions of trainable parameters."""
        return count(arch).params / 1e6


def check_estimator(name: str) -> str:
    """`name` itself when there is such an estimator; imports nothing heavy.

    Raises:
        UnknownNameError: there is none.
    """
    if name not in ESTIMATORS:
        raise UnknownNameError("quality estimator", name, ESTIMATORS)
    return name


def get_estimator(name: str) -> QualityEstimator:
    """The estimator of that name."""
    if check_estimator(name) == "params":
        return ParameterCount()
    from gnv2_nas.quality.zen import ZenScore

    return ZenScore()
