"""The trust panel of a study, and the quality estimator that it favours."""

from __future__ import annotations

from gnv2_nas.errors import InputError
from gnv2_nas.quality.trust.panel import BETTER, TrustPanel, find_trust, verdict
from gnv2_nas.search.study import defaults
from gnv2_nas.search.study.records import StudyRecord
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
