"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gnv2_nas.cli import any_case
from gnv2_nas.search.study import defaults

Storage = Annotated[
    str, typer.Option(help="Database of studies: sqlite:///FILE or any URL Optuna takes.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")]
DeviceName = Annotated[
    str,
    typer.Option(
        help="Device profile: a name from [cyan]gnv2-nas devices[/] or a YAML file.",
        callback=any_case.device,
    ),
]
ReportFolder = Annotated[Path, typer.Option("--reports", help="Folder for reports.")]

REPORTS = Path(defaults.REPORTS)
