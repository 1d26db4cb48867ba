"""Quality estimators: what a search maximises, by name."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Protocol

import msgspec

from gnv2_nas.arch import Architecture
from gnv2_nas.errors import UnknownNameError
from gnv2_nas.graph import count


class EstimatorInfo(msgspec.Struct, frozen=True):
    """What there is to say about a score without computing one."""

    name: str
    title: str
    note: str
    """What it is; says when it is not an accuracy."""
    noise: float = 0.0
    """Differences up to this are luck; 0 for what is exact."""
    is_accuracy: bool = False
    families: tuple[str, ...] = ()
    """`Architecture.family` of the networks whose scores compare; () means all."""

    def compares(self, arch: Architecture) -> bool:
        """Whether the score of `arch` can be held against the others."""
        return not self.families or arch.family in self.families


_INFOS = (
    EstimatorInfo("params", "Parameter score", "millions of parameters; not an accuracy"),
    EstimatorInfo(
        "zen", "Zen-score", "data-free; not an accuracy", noise=0.3,
        families=("ghostnet", "ghostnetv2"),
    ),
)  # fmt: skip

ESTIMATORS: Mapping[str, EstimatorInfo] = MappingProxyType({info.name: info for info in _INFOS})


class QualityEstimator(Protocol):
    """Scores an architecture; higher is better."""

    @property
    def info(self) -> EstimatorInfo: ...

    def score(self, arch: Architecture) -> float:
        """The same value for the same architecture, in every process."""
        ...


class ParameterCount:
    """The baseline every other score must beat: bigger is better."""

    info = ESTIMATORS["params"]

    def score(self, arch: Architecture) -> float:
        """Millions of trainable parameters."""
        return count(arch).params / 1e6


def check_estimator(name: str) -> EstimatorInfo:
    """What there is to say about the estimator of that name; imports nothing heavy.

    Raises:
        UnknownNameError: there is none.
    """
    if name not in ESTIMATORS:
        raise UnknownNameError("quality estimator", name, ESTIMATORS)
    return ESTIMATORS[name]


def get_estimator(name: str) -> QualityEstimator:
    """The estimator of that name."""
    if check_estimator(name).name == "params":
        return ParameterCount()
    from gnv2_nas.quality.zen import ZenScore

    return ZenScore()
