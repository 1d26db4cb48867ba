"""What a study recommends: front, network, gains over stock, and how far to trust its scores."""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec
import numpy as np

from gnv2_nas.devices.panel import REFERENCE
from gnv2_nas.errors import InputError
from gnv2_nas.quality.trust.panel import BETTER, TrustPanel, find_trust, verdict
from gnv2_nas.search.analysis.baselines import preset_name
from gnv2_nas.search.analysis.gains import Gain, find_gain
from gnv2_nas.search.analysis.pareto import pareto_front, study_front
from gnv2_nas.search.study import defaults
from gnv2_nas.search.study.metrics import get_metric, loss
from gnv2_nas.search.study.records import StudyRecord, Trial
from gnv2_nas.search.study.settings import Settings
from gnv2_nas.space import SearchSpace, load_space


def find_study_trust(record: StudyRecord) -> TrustPanel | None:
    """The trust panel of the searched space; None if there is none."""
    settings = record.settings
    try:
        space = load_space(record.provenance.space_source or settings.space)
    except InputError:
        # The file was removed or changed, so the space it described is unknown.
        return None
    if record.trials:
        space = space.with_classes(record.trials[0].architecture.num_classes)
    panel = find_trust(space) if space.content_hash == settings.space_hash else None
    return panel and panel.for_file(settings.quality, settings.quality_hash)


def choose_quality(space: SearchSpace) -> str:
    """The best data-free score of the space's trust panel, if it beats the parameter count.

    Otherwise, or without a panel, the default estimator.
    """
    panel = find_trust(space)
    favoured = panel and panel.of(panel.best_data_free())
    return favoured.spec if favoured and verdict(favoured) == BETTER else defaults.QUALITY


class Recommendation(msgspec.Struct, frozen=True):
    """What a study has found."""

    front: tuple[Trial, ...]
    """Feasible, non-dominated networks, best in the first objective first."""
    recommended: Trial | None
    """The knee of the front; None when the front is empty."""
    stock: Trial | None
    """Stock GhostNetV2 1.0; None when a value of it is missing."""
    gains: tuple[Gain, ...]
    """One for each objective, latency first and quality last; empty without `stock`."""


def recommend(record: StudyRecord) -> Recommendation:
    """Front, recommended network and gains over stock GhostNetV2 1.0 of a study."""
    members, objectives = study_front(record), record.settings.objectives
    stock = find_stock(record)
    names = sorted(
        objectives, key=lambda name: (not get_metric(name).is_latency, name == "quality")
    )
    noise = record.quality_info.noise
    return Recommendation(
        front=tuple(members),
        recommended=pick_recommended(members, objectives),
        stock=stock,
        gains=tuple(find_gain(members, stock, objectives, name, noise) for name in names)
        if stock and members
        else (),
    )


def pick_recommended(members: Sequence[Trial], objectives: Sequence[str]) -> Trial | None:
    """The recommended network of the front `members`: its knee, or None when the front is empty.

    The knee is the member farthest from the chord between the extremes of the front (Das, "On
    characterizing the 'knee' of the Pareto curve based on Normal-Boundary Intersection", 1999).
    With losses scaled to [0, 1] over the front, the distance to the chord (to the plane, with
    more than two objectives) falls with the sum of the losses, so the knee has the smallest sum.
    Members with a stable latency take precedence.
    """
    if not members:
        return None
    losses = np.array([[loss(member, name) for name in objectives] for member in members])
    span = np.ptp(losses, axis=0)
    scaled = (losses - losses.min(axis=0)) / np.where(span > 0, span, 1.0)
    stable = [member.is_stable for member in members]
    sums = scaled.sum(axis=1)
    return members[int(np.where(stable, sums, np.inf if any(stable) else sums).argmin())]


def pick_in_views(members: Sequence[Trial], views: Sequence[Settings]) -> list[Trial]:
    """The recommended network of each of these views of a study, each once.

    Args:
        members: the joint front of the views.
    """
    picks = (
        pick_recommended(
            pareto_front([each.seen(view) for each in members], view.objectives), view.objectives
        )
        for view in views
    )
    numbers = {pick.number for pick in picks if pick is not None}
    return [each for each in members if each.number in numbers]


def find_stock(record: StudyRecord) -> Trial | None:
    """Stock GhostNetV2 1.0 of the study, if all objectives of it are known."""
    for trial in record.trials:
        values = [trial.value(name) for name in record.settings.objectives]
        if preset_name(trial.baseline) == REFERENCE and all(map(math.isfinite, values)):
            return trial
    return None
