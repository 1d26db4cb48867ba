"""What a study recommends: front, network, gains over stock, and how far to trust its scores."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from gnv2_nas.errors import InputError
from gnv2_nas.quality.trust.panel import TrustPanel, choose_score
from gnv2_nas.quality.trust.panel_file import find_trust, find_trust_of_other_form
from gnv2_nas.search.analysis.gains import Gain, find_better, find_gains
from gnv2_nas.search.analysis.pareto import pareto_front
from gnv2_nas.search.analysis.rivals import find_stock
from gnv2_nas.search.study import defaults
from gnv2_nas.search.study.metrics import loss
from gnv2_nas.search.study.records import StudyRecord, Trial
from gnv2_nas.search.study.settings import Settings
from gnv2_nas.space import SearchSpace, load_space


def find_study_space(record: StudyRecord) -> SearchSpace | None:
    """The searched space; None if its file was removed or changed since."""
    settings = record.settings
    try:
        space = load_space(record.provenance.space_source or settings.space)
    except InputError:
        return None
    if record.trials:
        space = space.with_classes(record.trials[0].architecture.num_classes)
    return space if space.content_hash == settings.space_hash else None


def find_study_trust(record: StudyRecord) -> tuple[TrustPanel, ...]:
    """The trust panels of the searched space, one for each set of images.

    If there are none, those of another form of it.
    """
    space, settings = find_study_space(record), record.settings
    panels = () if space is None else find_trust(space) or find_trust_of_other_form(space)
    return tuple(panel.for_file(settings.quality, settings.quality_hash) for panel in panels)


def choose_quality(space: SearchSpace) -> str:
    """The data-free score that beats the parameter count in every trust panel of the space.

    Without panels or such a score, the default estimator.
    """
    return choose_score(find_trust(space)) or defaults.QUALITY


class Recommendation(msgspec.Struct, frozen=True):
    """What a study has found."""

    front: tuple[Trial, ...]
    """Feasible, non-dominated networks, best in the first objective first."""
    recommended: Trial | None
    """The one network to take, see `recommend_among`; None when the front is empty."""
    best: Trial | None
    """The best quality within the budgets; None without budgets, or if no score is an objective."""
    knee: Trial | None
    """The best compromise of the front, see `find_knee`."""
    stock: Trial | None
    """The best stock network within the budgets, see `find_stock`."""
    gains: tuple[Gain, ...]
    """One for each objective, latency first and quality last; empty without `stock`."""


def recommend(record: StudyRecord) -> Recommendation:
    """Front, recommended network and gains over stock of a study."""
    return recommend_among(record.trials, record.settings, record.quality_info.noise)


def recommend_among(trials: Sequence[Trial], settings: Settings, noise: float) -> Recommendation:
    """What a study of these trials recommends.

    The recommended network is no worse in any objective than the best stock network within the
    budgets. Of such networks, those that are certainly better in the most objectives are left, and
    of these the best compromise is taken. If there is none, the budgets are used up: it is the
    network of the best quality. Without budgets, or without a score, it is the knee of the front.

    Args:
        trials: the front and the stock networks suffice.
        noise: differences in quality up to this are not significant.
    """
    objectives = settings.objectives
    members = pareto_front(trials, objectives)
    stock = find_stock(trials, settings)
    # `members` is sorted by the first objective, which is quality if that is one at all.
    spends = bool(settings.budgets) and objectives[0] == "quality" and bool(members)
    best = members[0] if spends else None
    knee = find_knee(members, members, objectives)
    better = find_better(members, stock, objectives, noise) if stock else []
    return Recommendation(
        front=tuple(members),
        recommended=find_knee(better, members, objectives) or best or knee,
        best=best,
        knee=knee,
        stock=stock,
        gains=find_gains(members, stock, objectives, noise) if stock and members else (),
    )


def find_knee(
    candidates: Sequence[Trial], members: Sequence[Trial], objectives: Sequence[str]
) -> Trial | None:
    """The best compromise among some members of a front; None if there are none.

    The knee of a front is the member farthest from the chord between its extremes (Das, "On
    characterizing the 'knee' of the Pareto curve based on Normal-Boundary Intersection", 1999).
    With losses scaled to [0, 1] over the front, the distance to the chord (to the plane, with
    more than two objectives) falls with the sum of the losses, so the knee has the smallest sum.
    Candidates with a stable latency take precedence.

    Args:
        members: the whole front, which the losses are scaled over.
    """
    if not candidates:
        return None
    front = _losses(members, objectives)
    span = np.ptp(front, axis=0)
    scaled = (_losses(candidates, objectives) - front.min(axis=0)) / np.where(span > 0, span, 1.0)
    stable = [each.is_stable for each in candidates]
    sums = scaled.sum(axis=1)
    return candidates[int(np.where(stable, sums, np.inf if any(stable) else sums).argmin())]


def _losses(trials: Sequence[Trial], objectives: Sequence[str]) -> NDArray[np.float64]:
    return np.array([[loss(each, name) for name in objectives] for each in trials])
