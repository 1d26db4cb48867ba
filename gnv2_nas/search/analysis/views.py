"""The views of a study: one for each recommended network that it was asked for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import msgspec

from gnv2_nas.search.analysis.recommendation import Recommendation, recommend
from gnv2_nas.search.study.records import StudyRecord
from gnv2_nas.search.study.settings import Settings


class View(msgspec.Struct, frozen=True):
    """A study on one device, under one limit of a list of budgets, or the whole study."""

    label: str
    """What sets it apart: "200MFLOPs", "on cpu", "12ms on all devices"; "" of the only view."""
    record: StudyRecord
    found: Recommendation

    @property
    def title(self) -> str:
        """The label as a heading: "Within 200MFLOPs", "On cpu"; "" for the only view."""
        return capitalize(describe_views([self.label]))


def describe_views(labels: Sequence[str]) -> str:
    """Labels of views in a sentence: "within 100MFLOPs and 200MFLOPs", "on cpu"."""
    text = join_words(list(filter(None, labels)))
    return f"within {text}" if text and not text.startswith("on ") else text


def join_words(words: Sequence[str]) -> str:
    """ "a", "a and b", "a, b and c"; "" for none."""
    return " and ".join(filter(None, (", ".join(words[:-1]), *words[-1:])))


def capitalize(text: str) -> str:
    """`text` with its first letter in upper case."""
    return text[:1].upper() + text[1:]


def list_views(record: StudyRecord) -> list[View]:
    """All views of a study: the whole before each device, the tightest limit first."""
    views = []
    for settings in record.settings.views:
        seen = record if settings is record.settings else record.seen(settings)
        views.append(View(_label(record.settings, settings), seen, recommend(seen)))
    return views


def _label(study: Settings, view: Settings) -> str:
    listed = {limit.alone().metric for limit in study.limits}
    budgets = [budget for budget in view.budgets if budget.alone().metric in listed]
    # A limit that holds on every device does not name them.
    count = Counter(budget.alone().text for budget in budgets)
    limits = dict.fromkeys(
        alone if count[alone := budget.alone().text] == len(view.devices) else budget.text
        for budget in budgets
    )
    name = "all devices" if len(view.devices) > 1 else view.device_labels[0]
    device = f"on {name}" if len(study.devices) > 1 else ""
    return " ".join(filter(None, (", ".join(limits), device)))
