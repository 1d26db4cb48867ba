"""The views of a study: one for each recommended network that it was asked for."""

from __future__ import annotations

import msgspec

from gnv2_nas.search.analysis.recommendation import Recommendation, recommend
from gnv2_nas.search.study.records import Settings, StudyRecord


class View(msgspec.Struct, frozen=True):
    """A study under one limit of a list of budgets, or the whole study if there is no list."""

    label: str
    """What sets it apart: "200MFLOPs"; "" for the whole study."""
    record: StudyRecord
    found: Recommendation

    @property
    def title(self) -> str:
        """The label as a heading: "Within 200MFLOPs"; "" for the whole study."""
        return f"Within {self.label}" if self.label else ""


def list_views(record: StudyRecord) -> list[View]:
    """All views of a study, tightest limit first."""
    views = []
    for settings in record.settings.views:
        seen = record if settings is record.settings else record.seen(settings)
        views.append(View(_label(record.settings, settings), seen, recommend(seen)))
    return views


def _label(study: Settings, view: Settings) -> str:
    listed = {limit.metric for limit in study.limits}
    return ", ".join(budget.text for budget in view.budgets if budget.metric in listed)
