"""A study that exists: as an object for Python and notebooks, as a table, as a report."""

from __future__ import annotations

import html
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from gnv2_nas.errors import BudgetError
from gnv2_nas.files.writing import check_writable
from gnv2_nas.measurement.records.record import Measurement, format_latency
from gnv2_nas.report.files import ReportFiles, check_report_files
from gnv2_nas.report.wording import list_picks
from gnv2_nas.search.analysis.pareto import find_nearest_to_budgets
from gnv2_nas.search.analysis.recommendation import recommend
from gnv2_nas.search.analysis.views import View
from gnv2_nas.search.storage.sqlite import require_study
from gnv2_nas.search.study import defaults
from gnv2_nas.search.study.budgets import parse_budget, place_on_devices
from gnv2_nas.search.study.metrics import get_metric, get_only, worst_ratio
from gnv2_nas.search.study.records import StudyRecord, Trial

if TYPE_CHECKING:
    import pandas as pd


class Study:
    """The finished trials of a study, as they were when the study was loaded.

    In a notebook, a study is shown as the table of its front.
    """

    def __init__(self, record: StudyRecord) -> None:
        self._record = record
        self._found = recommend(record)

    @property
    def name(self) -> str:
        """The name; `name:number` names a trial in `gn.export` and `gn.train`."""
        return self._record.name

    @property
    def record(self) -> StudyRecord:
        """Settings, trials and provenance as plain data."""
        return self._record

    @property
    def trials(self) -> tuple[Trial, ...]:
        """All finished trials, stock networks included, in the order of evaluation."""
        return tuple(self._record.trials)

    @property
    def front(self) -> tuple[Trial, ...]:
        """The feasible, non-dominated trials, best in the first objective first."""
        return tuple(self._found.front)

    @property
    def recommended(self) -> Trial | None:
        """The network that the report names first; None if no trial keeps every budget."""
        return self._found.recommended

    def within(self, budget: str) -> Study:
        """Return the study as if `budget` had been the only one of its metric.

        Args:
            budget: one of the study's list, or any other that is not looser than the study's own.
                A search aims only at those of its list.

        Raises:
            BudgetError: the budget cannot be read, is looser than the study's, or limits a metric
                that the study has no values of.
        """
        settings = self._record.settings
        limits = place_on_devices([parse_budget(budget)], settings.device_labels)
        for limit in limits:
            metric, kept = get_metric(limit.metric), settings.limits_of(limit.metric)
            if kept and limit.limit > kept[-1].limit * (1 + 1e-9):
                raise BudgetError(
                    f"study {self.name!r} has networks within {kept[-1].text} only; "
                    f"{budget!r} is looser"
                )
            known = settings.measures if metric.is_latency else limit.metric in settings.asked
            if metric.count is None and not known:
                raise BudgetError(f"study {self.name!r} has no {metric.in_text} to keep {budget!r}")
        return Study(self._record.seen(settings.within(*limits)))

    def on(self, device: str) -> Study:
        """Return the study as if `device` had been the only one.

        Raises:
            UnknownNameError: the study has no such device.
        """
        return Study(self._record.on(device))

    def to_frame(self) -> pd.DataFrame:
        """Return one row for each trial; `docs/reports.md` lists columns and units."""
        from gnv2_nas.report.frames import trials_frame

        return trials_frame(self._record)

    def report(self, path: str | Path = defaults.REPORTS) -> Path:
        """Write the report: an HTML page, and beside it the table as CSV and JSON.

        Args:
            path: the folder.

        Returns:
            The HTML page.

        Raises:
            OutputError: the folder is not writable, or a file of another kind is in the way.
            StorageError: the disk is full; earlier reports stay as they were.
        """
        from gnv2_nas.report.study_page.write import write_report

        folder = Path(path)
        check_writable(folder)
        check_report_files(self.name, folder)
        return write_report(self._record, folder).html

    def __repr__(self) -> str:
        return f"<Study {self.name!r}: {len(self.trials)} trials, {len(self.front)} on the front>"

    def _repr_html_(self) -> str:
        """Return the table of the front, with the recommended network in bold."""
        title = html.escape(repr(self)[1:-1])
        if not self.front:
            return f"<p>{title}<br>{html.escape(describe_nearest(self._record))}</p>"
        columns = format_columns(self._record)
        head = "".join(f"<th>{html.escape(column)}</th>" for column in columns)
        rows = []
        for trial, cells in zip(self.front, format_rows(self._record, self.front), strict=True):
            recommended = self.recommended is not None and trial.number == self.recommended.number
            tag, mark = ("th", " (recommended)") if recommended else ("td", "")
            texts = (f"{cells[0]}{mark}", *cells[1:])
            rows.append("".join(f"<{tag}>{html.escape(text)}</{tag}>" for text in texts))
        body = "".join(f"<tr>{row}</tr>" for row in rows)
        return f"<table><caption>{title}</caption><tr>{head}</tr>{body}</table>"


def load_record(name: str, storage: str) -> StudyRecord:
    """Read a study.

    Raises:
        UnknownNameError: no such study.
        StudyError: the database cannot be opened, or holds a study of a newer version.
    """
    require_study(storage, name)
    from gnv2_nas.search.storage.studies import open_study

    return open_study(storage, name).record()


def format_columns(record: StudyRecord) -> tuple[str, ...]:
    """Return the column titles of `format_rows`."""
    info = record.quality_info
    score = f"{info.name}, {info.unit}" if info.unit else info.name
    more = [f"{metric.title}, {metric.unit}" for metric in record.settings.evaluated]
    labels = record.settings.device_labels
    latency = ["ms", "95 %", "÷ V2 1.0"]
    if len(labels) > 1:
        latency = [text for label in labels for text in (f"{label}, ms", "÷ V2 1.0")] + ["worst"]
    return ("network", "stock", score, *latency, "MFLOPs", "Mparams", *more)


def format_rows(record: StudyRecord, members: Sequence[Trial]) -> list[tuple[str, ...]]:
    """Return the cells of a table with one row for each trial."""
    return [
        (
            f"{record.name}:{member.number}",
            member.baseline,
            "–" if member.quality is None else f"{member.quality:.2f}",
            *_format_latencies(record, member.latencies),
            f"{member.counts.macs / 1e6:.1f}",
            f"{member.counts.params / 1e6:.2f}",
            *(f"{metric.value(member) / metric.scale:.2f}" for metric in record.settings.evaluated),
        )
        for member in members
    ]


def _format_latencies(
    record: StudyRecord, latencies: Mapping[str, Measurement | None]
) -> tuple[str, ...]:
    labels = record.settings.device_labels
    if len(labels) == 1:
        return format_latency(get_only(latencies))
    worst, cells = worst_ratio(latencies), []
    for label in labels:
        ms, _, ratio = format_latency(latencies.get(label))
        cells += [ms, ratio]
    return (*cells, "–" if math.isnan(worst) else f"{worst:.3f}")


def format_files(record: StudyRecord) -> tuple[list[str], list[tuple[str, ...]]]:
    """Return titles and rows of a table of files of other tools."""
    columns = list(format_columns(record))
    latencies = columns[3 : columns.index("MFLOPs")]
    rows = [
        (
            each.name,
            each.note,
            *_format_latencies(record, each.latencies),
            "–" if each.counts.macs is None else f"{each.counts.macs / 1e6:.1f}",
            f"{each.counts.params / 1e6:.2f}",
        )
        for each in record.foreign
    ]
    return ["file", "", *latencies, "MFLOPs", "Mparams"], rows


def format_picks(record: StudyRecord, views: Sequence[View]) -> list[tuple[str, ...]]:
    """Return the cells of a table of `list_picks`: what it is, trial, cells of `format_rows`."""
    trials = {trial.number: trial for trial in record.trials}
    return [
        (f"{view.label}: {what}", str(one.number), *cells[2:])
        for view in views
        for what, one in list_picks(view, record)
        for cells in format_rows(record, [trials[one.number]])
    ]


def describe_nearest(record: StudyRecord) -> str:
    """Return a sentence about the trial nearest to the budgets, for a study without a front."""
    if not record.trials:
        return "no network was evaluated yet"
    nearest = find_nearest_to_budgets(record.trials)
    broken = ", ".join(f"{text} by {excess:.1%}" for text, excess in nearest.broken_budgets.items())
    return (
        f"no network keeps every budget yet; nearest is {record.name}:{nearest.number}, which "
        f"breaks {broken or 'none, but has no value for an objective'}"
    )


class ReportRequest(msgspec.Struct, frozen=True):
    """The options of `gnv2-nas report`."""

    study: str
    storage: str = defaults.STORAGE
    reports: Path = Path(defaults.REPORTS)

    def check(self) -> CheckedReport:
        """Check every option without importing Optuna or pandas.

        Raises:
            InputError: no such study, or the files cannot be written.
        """
        require_study(self.storage, self.study)
        check_writable(self.reports)
        check_report_files(self.study, self.reports)
        return CheckedReport(self)


class CheckedReport(msgspec.Struct, frozen=True):
    """A report that can be written."""

    request: ReportRequest


def run_report(checked: CheckedReport) -> tuple[StudyRecord, ReportFiles]:
    """Write the page, and beside it the table as CSV and JSON.

    Returns:
        The study and the files.

    Raises:
        StorageError: the disk is full, or the database failed.
    """
    from gnv2_nas.report.study_page.write import write_report

    request = checked.request
    record = load_record(request.study, request.storage)
    return record, write_report(record, request.reports)
