"""What is known about the scores of a study: the trust panel of its space."""

from __future__ import annotations

from gnv2_nas.errors import InputError
from gnv2_nas.quality.trust.panel import BETTER, TrustPanel, find_trust, verdict
from gnv2_nas.search.study import defaults
from gnv2_nas.search.study.records import StudyRecord
from gnv2_nas.space import SearchSpace, load_space


def find_study_trust(record: StudyRecord) -> TrustPanel | None:
    """The panel about the very space that was searched; None where nobody has made one."""
    settings = record.settings
    try:
        space = load_space(record.space_source or settings.space)
    except InputError:
        # The file is gone, or is wrong by now: nothing is known of the space it was.
        return None
    if record.trials:
        space = space.with_classes(record.trials[0].architecture.num_classes)
    panel = find_trust(space) if space.content_hash == settings.space_hash else None
    return panel and panel.known_for(settings.quality, settings.quality_hash)


def choose_quality(space: SearchSpace) -> str:
    """The data-free score that trained networks of the space speak for; the usual one where
    nobody has asked them, or none of its scores is better than the parameter count."""
    panel = find_trust(space)
    favoured = panel and panel.of(panel.best_data_free())
    return favoured.spec if favoured and verdict(favoured) == BETTER else defaults.QUALITY
