"""What a page shows of one view of a study: answer, cautions, front and table."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import msgspec
import pandas as pd
from markupsafe import Markup

from gnv2_nas.report.figures.front_figure import FrontInfo, front_figure, front_info
from gnv2_nas.report.rendering import figure_json
from gnv2_nas.report.study_page.ablation_table import AblationTable, make_ablation_table
from gnv2_nas.report.study_page.answer import Answer, write_answer
from gnv2_nas.report.study_page.conditions import describe_confirmation, list_cautions
from gnv2_nas.report.study_page.foreign_table import FileRow, describe_files, list_foreign_rows
from gnv2_nas.report.study_page.table import (
    NetworkRow,
    column_titles,
    list_front_rows,
    list_stock_rows,
    make_row,
)
from gnv2_nas.report.wording import format_reference, list_picks, next_command
from gnv2_nas.search.analysis.ablation import find_ablations
from gnv2_nas.search.analysis.views import View, capitalize, describe_views
from gnv2_nas.search.study.records import StudyRecord, Trial


class Section(msgspec.Struct, frozen=True):
    """One view as the template shows it."""

    label: str
    title: str
    key: str
    """Part of every `id` in the section; "" on a page of one view."""
    record: StudyRecord
    whole: bool
    """Whether the view is of all devices; the page begins with the answers of these views."""
    answer: Answer
    next_command: str
    cautions: list[str]
    confirmation: str
    info: FrontInfo
    front_figure: Markup | None
    neighbours: tuple[int, int]
    close_scores: tuple[int, int]
    columns: tuple[str, ...]
    front_rows: list[NetworkRow]
    front_size: int
    stock_rows: list[NetworkRow]
    foreign_rows: list[FileRow]
    about_files: str
    picks: list[tuple[str, NetworkRow]]
    """What each is, and its row with the columns of the whole study."""
    parts: AblationTable | None

    def reference(self, trial: Trial) -> str:
        """The name of a network on the command line."""
        return format_reference(self.record, trial)


def make_section(
    view: View, key: str, study: StudyRecord, frame: pd.DataFrame, *, ablated: bool
) -> Section:
    """Collect what the page shows of a view.

    Args:
        key: see `Section.key`.
        study: the whole study.
        frame: `trials_frame` of the view.
        ablated: whether to show what each part of the network costs.
    """
    trials = {trial.number: trial for trial in study.trials}
    record, members, best = view.record, view.found.front, view.found.recommended
    info = front_info(record, frame, None if best is None else best.number)
    changes = find_ablations(record) if ablated else ()
    return Section(
        label=view.label,
        title=view.title,
        key=key,
        record=record,
        whole=len(record.settings.devices) == len(study.settings.devices),
        answer=write_answer(record, view.found),
        next_command="" if best is None else next_command(record, best),
        cautions=list_cautions(record, sum(info.unstable), members),
        confirmation=describe_confirmation(members, record.confirmed),
        info=info,
        front_figure=figure_json(front_figure(info)) if info.groups.drawn else None,
        neighbours=_neighbours(members),
        close_scores=_close_scores(record, members),
        columns=column_titles(record),
        front_rows=list_front_rows(record, members, best),
        front_size=len(members),
        stock_rows=list_stock_rows(record, members, view.found.stock),
        foreign_rows=list_foreign_rows(record),
        about_files=describe_files(record),
        picks=[
            (what, make_row(study, trials[one.number])) for what, one in list_picks(view, study)
        ],
        parts=make_ablation_table(record, changes, members, best),
    )


class Headline(msgspec.Struct, frozen=True):
    """An answer, and the views that it is the answer of."""

    where: str
    """The views: "Within 100MFLOPs and 200MFLOPs"; "" for the only one."""
    answer: Answer


def join_headlines(sections: Sequence[Section]) -> list[Headline]:
    """The headline of each view of all devices; views with the same one share it."""
    sections = [each for each in sections if each.whole]
    labels: dict[str, tuple[str, ...]] = {}
    answers = {each.answer.headline: each.answer for each in sections}
    for each in sections:
        labels[each.answer.headline] = (*labels.get(each.answer.headline, ()), each.label)
    return [
        Headline(capitalize(describe_views(labels[text])), answer)
        for text, answer in answers.items()
    ]


def _close_scores(record: StudyRecord, members: Sequence[Trial]) -> tuple[int, int]:
    """Number of neighbouring pairs in quality, and of those within the noise."""
    scores = sorted(one.quality for one in members if one.quality is not None)
    noise = record.quality_info.noise
    close = sum(right - left <= noise for left, right in pairwise(scores)) if noise else 0
    return max(len(scores) - 1, 0), close


def _neighbours(members: Sequence[Trial]) -> tuple[int, int]:
    """Number of neighbouring pairs in latency, and of those whose intervals overlap."""
    measured = sorted((one.latency for one in members if one.latency), key=lambda one: one.ms)
    overlaps = sum(left.own_ci95()[1] >= right.own_ci95()[0] for left, right in pairwise(measured))
    return max(len(measured) - 1, 0), overlaps
