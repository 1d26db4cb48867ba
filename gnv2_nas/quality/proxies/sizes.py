"""Size as a score: the baselines that every other score must beat."""

from __future__ import annotations

from gnv2_nas.arch import Architecture
from gnv2_nas.graph import count
from gnv2_nas.quality.base import ESTIMATORS


class ParameterCount:
    """Number of parameters; more is better."""

    info = ESTIMATORS["params"]

    def score(self, arch: Architecture) -> float:
        """Count trainable parameters, in millions."""
        return count(arch).params / 1e6


class MacCount:
    """Number of multiply-adds; more is better."""

    info = ESTIMATORS["macs"]

    def score(self, arch: Architecture) -> float:
        """Count multiply-adds of convolutions and linear layers, in millions."""
        return count(arch).macs / 1e6
