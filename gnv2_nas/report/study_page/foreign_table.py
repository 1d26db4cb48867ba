"""Rows of the page's table for files of other tools."""

from __future__ import annotations

import msgspec

from gnv2_nas.report.study_page.table import Cell, column_titles, latency_cells, missing
from gnv2_nas.search.study.foreign import ForeignBaseline
from gnv2_nas.search.study.metrics import format_accuracy
from gnv2_nas.search.study.records import StudyRecord


class FileRow(msgspec.Struct, frozen=True):
    """One file."""

    name: str
    note: str
    badges: tuple[str, ...]
    cells: tuple[Cell, ...]


def list_foreign_rows(record: StudyRecord) -> list[FileRow]:
    """Rows of all files of other tools, with the columns of the networks."""
    return [_make_row(record, each) for each in record.foreign]


def _make_row(record: StudyRecord, file: ForeignBaseline) -> FileRow:
    counts = file.counts
    unstable = any(each is not None and not each.stable for each in file.latencies.values())
    # A stated accuracy stands beside scores only where these are accuracies themselves.
    cells = (
        _stated(file.accuracy if record.quality_info.is_accuracy else None),
        *latency_cells(record, file.latencies),
        missing() if counts.macs is None else Cell(f"{counts.macs / 1e6:.1f}", counts.macs),
        Cell(f"{counts.params / 1e6:.2f}", counts.params),
    )
    empty = 1 + len(column_titles(record)) - len(cells)
    badges = ("latency not stable",) * unstable
    return FileRow(file.name, file.note, badges, cells + (missing(),) * empty)


def _stated(accuracy: float | None) -> Cell:
    if accuracy is None:
        return missing()
    return Cell(format_accuracy(accuracy), accuracy, "as stated")


def describe_files(record: StudyRecord) -> str:
    """Return the caution under a table with files of other tools; "" without any."""
    if not record.foreign:
        return ""
    scored = any(each.accuracy is not None for each in record.foreign)
    stated = " Their accuracies are as the user stated them; nothing here measured them." * scored
    return (
        "Files of other tools were timed in rounds with networks of this study; nothing checks "
        f"what they compute. They have no score and are on no front.{stated}"
    )
