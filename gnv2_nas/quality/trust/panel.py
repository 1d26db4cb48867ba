"""`TrustPanel`: how well the quality scores of a space rank networks by their accuracy.

`gnv2-nas quality check` makes it from a handful of trained networks. Light to import.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

import msgspec

from gnv2_nas.arch import Architecture
from gnv2_nas.quality.base import QualitySpec
from gnv2_nas.stats.rank_agreement import RankAgreement, agreement_gain

BASELINE = "params"
"""The score that every other one must beat."""


class TrustNetwork(msgspec.Struct, frozen=True):
    """A trained network."""

    architecture: Architecture
    macs: int
    params: int
    in_band: bool
    """Whether the multiply-adds are within the budget band."""
    accuracies: tuple[float, ...]
    """Held-out accuracies after training from scratch, per cent, one for each seed."""

    @property
    def accuracy(self) -> float:
        """Mean over the seeds, per cent."""
        return fmean(self.accuracies)


class EstimatorTrust(msgspec.Struct, frozen=True):
    """Comparison of one estimator with the trained accuracies."""

    spec: str
    """Estimator as `--quality` names it: "zen", "supernet:supernet.safetensors"."""
    title: str
    is_accuracy: bool
    needs_data: bool
    scores: tuple[float | None, ...]
    """Score of each network; None if it is not comparable."""
    seconds: float
    """Mean time to score one network."""
    overall: RankAgreement | None
    band: RankAgreement | None
    """τ within the budget band."""
    gain_overall: RankAgreement | None = None
    """τ minus that of the parameter count on the same networks; see `add_gains`."""
    gain_band: RankAgreement | None = None
    file_hash: str = ""
    """Hash of the file in `spec`; "" without a file."""


class TrustPanel(msgspec.Struct, frozen=True):
    """Comparison of the estimators of one space on one set of images."""

    space: str
    space_hash: str
    num_classes: int
    data: str
    data_hash: str
    band: tuple[float, float]
    """Multiply-adds of the budget band."""
    networks: tuple[TrustNetwork, ...]
    estimators: tuple[EstimatorTrust, ...]
    ceiling: RankAgreement | None
    """τ between two trainings of the same networks with different seeds, an upper bound for every
    score; None with a single seed."""
    ceiling_band: RankAgreement | None
    training: str
    """Description of the recipe."""
    seconds: float
    """Time spent on training."""
    unvaried: tuple[str, ...] | None = None
    """Set for networks that were drawn from another form of the space: the axes of the space that
    are the same in all of them. None for the space as it is. Files do not contain it."""

    def of(self, spec: str) -> EstimatorTrust | None:
        """Find the comparison of an estimator; None if it was not checked.

        Files are matched by their names, in whatever folders.
        """
        wanted = QualitySpec.parse(spec)
        matching = (e for e in self.estimators if QualitySpec.parse(e.spec).matches(wanted))
        return next(matching, None)

    def for_file(self, spec: str, file_hash: str) -> TrustPanel:
        """Return the panel without a comparison of another file of the same name."""
        found = self.of(spec)
        if found is None or found.file_hash == file_hash:
            return self
        others = tuple(each for each in self.estimators if each is not found)
        return msgspec.structs.replace(self, estimators=others)

    def sentence(self, spec: str) -> str:
        """Describe the result of an estimator in one line.

        For example "in band τ 0.42 [0.10, 0.68]; parameters 0.55 [0.20, 0.80]: not better than
        the parameter count".
        """
        trust, baseline = self.of(spec), self.of(BASELINE)
        if trust is None:
            return f"not checked on space {self.space}: gnv2-nas quality check"
        where, found = _best_known(trust)
        if found is None:
            return "too few networks to tell"
        if trust is baseline or baseline is None:
            return f"{where} τ {found}"
        sizes = baseline.band if where == "in band" else baseline.overall
        return f"{where} τ {found}; parameters {sizes}: {verdict(trust)}"

    def origin(self) -> str:
        """Say so if the networks were drawn from another form of the space; else ""."""
        if self.unvaried is None:
            return ""
        axes = " and ".join(self.unvaried)
        same = f": {axes} {'is' if len(self.unvaried) == 1 else 'are'} the same in all of them"
        return (
            f"The networks trained on {self.data} belong to space {self.space}, but were drawn "
            f"from another form of it{same if axes else ''}."
        )

    def best_data_free(self) -> str:
        """Name the data-free estimator of the highest τ in band, or the parameter count."""
        best = max(self.data_free(), key=_tau_in_band, default=None)
        baseline = self.of(BASELINE)
        if best is None or (baseline and _tau_in_band(best) <= _tau_in_band(baseline)):
            return BASELINE
        return best.spec

    def data_free_sentence(self) -> str:
        """Say whether a data-free score beats the parameter count inside the budget band."""
        best = self.of(self.best_data_free())
        size = f"the parameter count {self._where()}"
        if best is None or best.spec == BASELINE:
            others = (each for each in self.data_free() if each.spec != BASELINE)
            known = "beats" if all(verdict(each) == NOT_BETTER for each in others) else "is above"
            return f"no data-free score {known} {size}"
        if verdict(best) != BETTER:
            return f"{best.title} is above, but cannot be told from, {size}"
        chance = "" if _above_chance(best) else ", but may be no better than chance"
        return f"{best.title} beats {size}{chance}"

    def _where(self) -> str:
        baseline = self.of(BASELINE)
        inside = baseline is not None and baseline.band is not None
        return "inside the budget band" if inside else "over the whole space"

    def data_free(self) -> list[EstimatorTrust]:
        """List the scores that need no images; the sizes are among them."""
        return [each for each in self.estimators if not (each.is_accuracy or each.needs_data)]


BETTER = "better than the parameter count"
NOT_BETTER = "not better than the parameter count"
CANNOT_TELL = "cannot be told from the parameter count"


def verdict(trust: EstimatorTrust) -> str:
    """Compare an estimator with the parameter count, by the interval of the difference of τ."""
    gain = trust.gain_band if trust.band else trust.gain_overall
    if gain is None or gain.low <= 0 < gain.high:
        return CANNOT_TELL
    return BETTER if gain.low > 0 else NOT_BETTER


def add_gains(panel: TrustPanel) -> TrustPanel:
    """Return the panel with `gain_overall` and `gain_band` computed from its scores."""
    sizes = [float(network.params) for network in panel.networks]
    accuracies = [network.accuracy for network in panel.networks]

    def gain(trust: EstimatorTrust, *, in_band: bool) -> RankAgreement | None:
        known = [
            (score, size, accuracy)
            for score, size, accuracy, network in zip(
                trust.scores, sizes, accuracies, panel.networks, strict=True
            )
            if score is not None and (network.in_band or not in_band)
        ]
        if not known:
            return None
        ours, others, known_accuracies = zip(*known, strict=True)
        return agreement_gain(ours, others, known_accuracies)

    estimators = tuple(
        msgspec.structs.replace(
            each, gain_overall=gain(each, in_band=False), gain_band=gain(each, in_band=True)
        )
        if each.scores
        else each
        for each in panel.estimators
    )
    return msgspec.structs.replace(panel, estimators=estimators)


def choose_score(panels: Sequence[TrustPanel]) -> str:
    """Name the data-free score that beats the parameter count and chance on every set of images.

    Where more parameters mean lower accuracy, a score without any order beats the parameter count,
    so the interval of its own τ must be above 0, too. If several scores win, the one of the highest
    mean τ is chosen. "" if there is none, or no panel.
    """
    if not panels:
        return ""
    winners = set.intersection(
        *({each.spec for each in panel.data_free() if is_supported(each)} for panel in panels)
    )

    def mean_tau(spec: str) -> float:
        known = (each for panel in panels for each in panel.data_free() if each.spec == spec)
        return fmean(map(_tau_in_band, known))

    return max(sorted(winners), key=mean_tau, default="")


def is_supported(trust: EstimatorTrust) -> bool:
    """Whether a score ranks networks better than the parameter count, and better than chance."""
    return verdict(trust) == BETTER and _above_chance(trust)


def _above_chance(trust: EstimatorTrust) -> bool:
    _, found = _best_known(trust)
    return found is not None and found.low > 0


def _best_known(trust: EstimatorTrust) -> tuple[str, RankAgreement | None]:
    """τ in band, or overall if too few networks are in the band."""
    return ("in band", trust.band) if trust.band else ("overall", trust.overall)


def _tau_in_band(trust: EstimatorTrust) -> float:
    _, found = _best_known(trust)
    return -1.0 if found is None else found.tau
