"""Scoring and measuring: from an architecture to a `Candidate`."""

from __future__ import annotations

from collections.abc import Sequence

from gnv2_nas.arch import Architecture
from gnv2_nas.graph import Counts
from gnv2_nas.profiling import journal
from gnv2_nas.profiling.calibration import ensure_calibrated
from gnv2_nas.profiling.device import Device
from gnv2_nas.profiling.protocol import measure
from gnv2_nas.profiling.record import Measurement
from gnv2_nas.quality.estimator import QualityEstimator
from gnv2_nas.search.budgets import excesses, violations
from gnv2_nas.search.records import Candidate, Settings
from gnv2_nas.space import Value

PRECISION = 0.03
"""Interval half-width asked of a search's measurements: ranking needs no better."""
SECONDS_PER_NETWORK = 1.0


class Evaluator:
    """Evaluates networks for one study; latencies are taken in one batch."""

    def __init__(
        self, settings: Settings, estimator: QualityEstimator, device: Device, seed: int
    ) -> None:
        self.settings = settings
        self.estimator = estimator
        self.device = device
        self.seed = seed
        self.reference_ms: float | None = None
        self.scores = "quality" in settings.objectives

    def score(self, arch: Architecture) -> float | None:
        """Quality by the study's estimator; None when no objective asks for it, or when scores
        of this network's family do not compare with the others."""
        if not self.scores or not self.estimator.info.compares(arch):
            return None
        return self.estimator.score(arch)

    def measure(self, architectures: Sequence[Architecture]) -> list[Measurement | None]:
        """Latencies in shared rounds; None each when neither objective nor budget asks."""
        if not self.settings.measures:
            return [None] * len(architectures)
        ensure_calibrated(self.device)
        measurements = measure(
            architectures,
            self.device,
            precision=PRECISION,
            seconds_per_network=SECONDS_PER_NETWORK,
            seed=self.seed,
            reference_ms=self.reference_ms,
        )
        if self.reference_ms is None and measurements:
            # One value for the whole study: otherwise a slow minute would move every budget.
            self.reference_ms = measurements[0].ms / measurements[0].ratio
        journal.append(measurements)
        return list(measurements)

    def candidate(
        self,
        arch: Architecture,
        counts: Counts,
        latency: Measurement | None,
        *,
        baseline: str = "",
        params: dict[str, Value] | None = None,
    ) -> Candidate:
        """What is known of a network, put together; its number is the store's to give."""
        return Candidate(
            number=-1,
            architecture=arch,
            params=params or {},
            baseline=baseline,
            counts=counts,
            quality=self.score(arch),
            latency=latency,
            violations=violations(excesses(self.settings.budgets, counts, latency)),
        )
