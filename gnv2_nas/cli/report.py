"""`gnv2-nas report`"""

from __future__ import annotations

from typing import Annotated

import typer

from gnv2_nas.cli.console import print_json, say
from gnv2_nas.cli.options import REPORTS, Json, ReportFolder, Storage
from gnv2_nas.search.study import defaults


def report(
    study: Annotated[str, typer.Argument(help="Name of the study.")],
    storage: Storage = defaults.STORAGE,
    reports: ReportFolder = REPORTS,
    json: Json = False,
) -> None:
    """Make the report of a study again: one HTML page, with CSV and JSON beside it.

    Example: [cyan]gnv2-nas report ghostnetv2-300MFLOPs-cpu[/]
    """
    from gnv2_nas.files.writing import check_writable
    from gnv2_nas.search.storage.sqlite import require_study

    require_study(storage, study)
    check_writable(reports)
    from gnv2_nas.report.files import check_report_files
    from gnv2_nas.report.study_page.write import write_report

    check_report_files(study, reports)
    from gnv2_nas.search.storage.opening import open_study

    files = write_report(open_study(storage, study).record(), reports)
    if json:
        return print_json({"html": str(files.html), "csv": str(files.csv), "json": str(files.json)})
    return say(f"report: {files.html}")
