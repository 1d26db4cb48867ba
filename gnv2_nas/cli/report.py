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
    """Write the report of a study again: an HTML page, and the same as CSV and JSON.

    Example: [cyan]gnv2-nas report ghostnetv2-300MFLOPs-cpu[/]
    """
    from gnv2_nas.workflows.study import ReportRequest, run_report

    files = run_report(ReportRequest(study, storage, reports).check())
    if json:
        return print_json({"html": str(files.html), "csv": str(files.csv), "json": str(files.json)})
    return say(f"report: {files.html}")
