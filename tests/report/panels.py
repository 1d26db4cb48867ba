"""Trust panels with the agreement that a test wants."""

from __future__ import annotations

from gnv2_nas.quality import ESTIMATORS
from gnv2_nas.quality.trust.panel import EstimatorTrust, TrustNetwork, TrustPanel
from gnv2_nas.space import SearchSpace, load_space
from gnv2_nas.stats.rank_agreement import RankAgreement
from tests.report.studies import found_architecture


def trust(spec: str, band: float, gain: tuple[float, float, float] | None = None) -> EstimatorTrust:
    """τ in band, and how much higher than that of the parameter count it is, with an interval."""
    info = ESTIMATORS[spec.partition(":")[0]]
    return EstimatorTrust(
        spec=spec, title=info.title, is_accuracy=info.is_accuracy, needs_data=info.needs_data,
        scores=(), seconds=0.3, overall=RankAgreement(band + 0.1, band - 0.1, band + 0.15, 12),
        band=RankAgreement(band, band - 0.2, band + 0.1, 6), gain_overall=None,
        gain_band=None if gain is None else RankAgreement(*gain, 6),
    )  # fmt: skip


def panel(*estimators: EstimatorTrust, space: SearchSpace | None = None) -> TrustPanel:
    """Of the parameter count and other estimators."""
    space = space or load_space("ghostnetv2")
    network = TrustNetwork(found_architecture(1), 100, 10, True, (90.0, 91.0))
    return TrustPanel(
        space=space.name, space_hash=space.content_hash, num_classes=space.num_classes, data="pets",
        data_hash="0123456789ab", band=(80.0, 120.0), networks=(network,),
        estimators=(trust("params", 0.3), *estimators), ceiling=None, ceiling_band=None,
        training="400 steps", seconds=10.0,
    )  # fmt: skip
