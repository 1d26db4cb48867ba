"""Writing the report of a study that exists."""

from __future__ import annotations

from pathlib import Path

import msgspec

from gnv2_nas.files.writing import check_writable
from gnv2_nas.report.files import ReportFiles, check_report_files
from gnv2_nas.search.storage.sqlite import require_study
from gnv2_nas.search.study import defaults


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


def run_report(checked: CheckedReport) -> ReportFiles:
    """Write the page, and beside it the table as CSV and JSON.

    Raises:
        StorageError: the disk is full, or the database failed.
    """
    from gnv2_nas.report.study_page.write import write_report
    from gnv2_nas.search.storage.opening import open_study

    request = checked.request
    return write_report(open_study(request.storage, request.study).record(), request.reports)
