"""The size of a network as its score: the baselines that every other score must beat."""

from __future__ import annotations

from gnv2_nas.arch import Architecture
from gnv2_nas.graph import count
from gnv2_nas.quality.base import ESTIMATORS


class ParameterCount:
    """More parameters are better."""

    info = ESTIMATORS["params"]

    def score(self, arch: Architecture) -> float:
        """Millions of trainable parameters."""
        return count(arch).params / 1e6


class MacCount:
    """More multiply-adds are better."""

    info = ESTIMATORS["macs"]

    def score(self, arch: Architecture) -> float:
        """Millions of multiply-adds of convolutions and linear layers."""
        return count(arch).macs / 1e6
