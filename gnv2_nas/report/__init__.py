"""The report of a study: one HTML page that opens offline, and the same as CSV and JSON.

Importing this package is cheap: pandas, plotly and jinja2 are imported when a report is written.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from gnv2_nas.report.files import ReportFiles, check_report_files, report_files
from gnv2_nas.search.study.records import StudyRecord

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "ReportFiles",
    "candidates_frame",
    "check_report_files",
    "report_files",
    "write_report",
]


def write_report(record: StudyRecord, folder: Path) -> ReportFiles:
    """Write page, CSV and JSON of `record` into `folder`; see `gnv2_nas.report.study_page.write`.

    Raises:
        OutputError: something else is in the place of one of them.
        StorageError: the disk refused; the files that were there before stay as they were.
    """
    from gnv2_nas.report.study_page.write import write

    return write(record, folder)


def candidates_frame(record: StudyRecord) -> pd.DataFrame:
    """One row a candidate; see `gnv2_nas.report.frames` for columns and units."""
    from gnv2_nas.report.frames import candidates_frame as frame

    return frame(record)
