"""`gnv2-nas modules`"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gnv2_nas.cli.console import print_json, print_line, print_table, say
from gnv2_nas.cli.options import REPORTS, DeviceName, Json, ReportFolder, SpaceName, get_only_device
from gnv2_nas.search.study import defaults

if TYPE_CHECKING:
    from gnv2_nas.measurement.modules.findings import ModuleFindings


def modules(
    context: typer.Context,
    device: DeviceName = None,
    timeout: Annotated[
        str, typer.Option(help="Time for everything, such as 150s or 5m; longer is more exact.")
    ] = "150s",
    space: SpaceName = defaults.SPACE,
    write_space: Annotated[
        Path | None,
        typer.Option(help="Write --space with only the axes that pay to this YAML file."),
    ] = None,
    reports: ReportFolder = REPORTS,
    seed: Annotated[int, typer.Option(help="Seed of the order of measuring.")] = 0,
    json: Json = False,
) -> None:
    """Measure what the modules of the GhostNet papers save on a device.

    Ghost modules are compared with the convolutions that they replace.
    Decoupled attention is compared with full attention, and each of its parts with others.
    Ghost bottlenecks V2 are compared with V1.
    Theory and measurement stand side by side, in the terminal and on a page.
    The last paragraph says which axes of a search pay on the device.

    Examples:
    [cyan]gnv2-nas modules --device cpu[/]
    [cyan]gnv2-nas modules --device cpu-litert --space mobile --write-space litert.yaml[/]
    """
    from gnv2_nas.units import parse_duration
    from gnv2_nas.workflows.modules import ModulesRequest, run_modules

    seconds = parse_duration(timeout, "--timeout")
    checked = ModulesRequest(
        get_only_device(device), seconds, seed, space, write_space, reports
    ).check()
    from gnv2_nas.cli.options import restart_with_huge_pages
    from gnv2_nas.cli.progress import ProgressDisplay

    restart_with_huge_pages(context.obj)
    with ProgressDisplay() as display:
        found = run_modules(checked, display)
    return print_json(found.to_json()) if json else _print_findings(found)


def _print_findings(found: ModuleFindings) -> None:
    from gnv2_nas.report.modules_page.words import (
        COLUMNS,
        describe_check,
        describe_findings,
        list_refusals,
        ratio_title,
        summary_rows,
    )

    say(
        f"device {found.device}: {found.cpu}, {found.runtime}, threads {found.threads}, "
        f"{found.precision}, {found.clock} clock"
    )
    for comparison in found.comparisons:
        title = f"{comparison.title}; {ratio_title(comparison)}"
        print_table(COLUMNS, summary_rows(comparison), title=title)
        for line in list_refusals(comparison):
            say(f"left out: {line}")
        say(describe_check(comparison))
    for sentence in describe_findings(found):
        print_line(sentence)
