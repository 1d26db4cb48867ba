"""What is known about the scores of a study: the trust panel of its space."""

from __future__ import annotations

from gnv2_nas.errors import InputError
from gnv2_nas.quality.trust import TrustPanel, find_trust
from gnv2_nas.search.records import StudyRecord
from gnv2_nas.space import load_space


def trust_of(record: StudyRecord) -> TrustPanel | None:
    """The panel about the very space that was searched; None where nobody has made one."""
    settings = record.settings
    try:
        space = load_space(record.space_source or settings.space)
    except InputError:
        # The file is gone, or is wrong by now: nothing is known of the space it was.
        return None
    if record.candidates:
        space = space.with_classes(record.candidates[0].architecture.num_classes)
    panel = find_trust(space) if space.content_hash == settings.space_hash else None
    return panel and panel.known_for(settings.quality, settings.quality_hash)
