"""The trust panel as rows of text, for the terminal and the page."""

from __future__ import annotations

from typing import NamedTuple

from gnv2_nas.quality.trust.panel import BASELINE, EstimatorTrust, TrustPanel, verdict
from gnv2_nas.stats.rank_agreement import RankAgreement

TRUST_COLUMNS = ("score", "τ overall", "τ in band", "against parameters", "per network")


class TrustRow(NamedTuple):
    """One estimator; intervals are 95% intervals."""

    score: str
    overall: str
    band: str
    verdict: str
    cost: str


def trust_rows(panel: TrustPanel) -> list[TrustRow]:
    """A row for each estimator, best in band first, then the agreement of two trainings."""
    ordered = sorted(panel.estimators, key=_rank)
    rows = [
        TrustRow(
            _label(each),
            _interval(each.overall),
            _interval(each.band),
            "the baseline" if each.spec == BASELINE else verdict(each),
            f"{each.seconds:.2g} s" if each.seconds >= 0.01 else "< 0.01 s",
        )
        for each in ordered
    ]
    if panel.ceiling is not None:
        rows.append(
            TrustRow(
                "a second training", _interval(panel.ceiling), _interval(panel.ceiling_band),
                "upper limit", "",
            )
        )  # fmt: skip
    return rows


def trust_caption(panel: TrustPanel) -> str:
    """Explains the rows: number of networks, training, data."""
    inside = sum(network.in_band for network in panel.networks)
    low, high = (bound / 1e6 for bound in panel.band)
    seeds = max(len(network.accuracies) for network in panel.networks)
    return (
        f"Kendall's τ with the accuracy of {len(panel.networks)} networks of space {panel.space}, "
        f"{inside} of them within {low:.3g} to {high:.3g} MFLOPs, each trained from scratch on "
        f"{panel.data} with {seeds} seed{'s' * (seeds > 1)} ({panel.training}); "
        "in brackets, 95% intervals"
    )


def _rank(trust: EstimatorTrust) -> tuple[float, float]:
    return _descending(trust.band), _descending(trust.overall)


def _descending(agreement: RankAgreement | None) -> float:
    return 2.0 if agreement is None else -agreement.tau


def _label(trust: EstimatorTrust) -> str:
    return trust.title + ("" if trust.is_accuracy else " (not an accuracy)")


def _interval(agreement: RankAgreement | None) -> str:
    return "too few" if agreement is None else str(agreement)
