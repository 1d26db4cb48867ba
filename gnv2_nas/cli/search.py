"""`gnv2-nas search` and `gnv2-nas report`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from gnv2_nas.cli.console import print_json, print_table, say
from gnv2_nas.cli.options import (
    DATA_HELP,
    REPORTS,
    DeviceNames,
    Json,
    Ray,
    ReportFolder,
    SpaceName,
    Storage,
    lower,
    normalize_data,
    normalize_quality,
    normalize_sampler,
)
from gnv2_nas.commands import PROGRAM, join_command
from gnv2_nas.search.study import defaults
from gnv2_nas.search.study.metrics import METRICS

if TYPE_CHECKING:
    from gnv2_nas.report.files import ReportFiles
    from gnv2_nas.search.study.records import StudyRecord


def search(
    context: typer.Context,
    budget: Annotated[
        list[str] | None,
        typer.Option(
            help="Limit, such as 300MFLOPs, 12ms, 12ms@pi5 (on one device), 6Mparams, 20MB, "
            "20MB:artifact (size of the files to deploy) or 40MB:peak-memory (resident while it "
            "runs). May be given several times (default: no limit). A list, such as "
            "100MFLOPs,200MFLOPs, gives a network for each limit."
        ),
    ] = None,
    space: SpaceName = defaults.SPACE,
    device: DeviceNames = None,
    quality: Annotated[
        str,
        typer.Option(
            help="What to maximise: an accuracy (supernet:FILE, predictor:FILE, or train[:FILE]: a "
            "short training, from the weights of supernet FILE if given) or a score without images "
            "(zen, naswot, synflow, az-nas, zico, swap, naswot+params, params, macs). Default, "
            f"also with --data: {defaults.QUALITY}, or a score that gnv2-nas quality check found "
            "better.",
            show_default=False,
            callback=normalize_quality,
        ),
    ] = "",
    data: Annotated[
        str,
        typer.Option(
            help=f"{DATA_HELP} The number of classes is that of --data. supernet and train need "
            "it; predictor needs the same number of classes as in its fit.",
            callback=normalize_data,
        ),
    ] = "",
    objectives: Annotated[
        str,
        typer.Option(help=f"Comma-separated: {', '.join(METRICS)}.", callback=lower),
    ] = defaults.OBJECTIVES,
    sampler: Annotated[
        str,
        typer.Option(help="predictor, nsga2, tpe, gp or random.", callback=normalize_sampler),
    ] = defaults.SAMPLER,
    trials: Annotated[
        int,
        typer.Option(
            help="Number of networks to evaluate, earlier runs included. Stock networks and "
            "--ablations are extra."
        ),
    ] = defaults.TRIALS,
    timeout: Annotated[
        str,
        typer.Option(
            help="Time limit of the whole command, such as 90s, 10m or 1.5h; a bare number is "
            "seconds. Up to a fifth of it, at most a minute, is reserved for measuring the front "
            "at the end."
        ),
    ] = defaults.TIMEOUT,
    seed: Annotated[int, typer.Option(help="Seed of the sampler.")] = defaults.SEED,
    workers: Annotated[
        int,
        typer.Option(
            help="Processes that score networks; more than 1 need the extra 'ray'. Only one "
            "process measures at a time."
        ),
    ] = defaults.WORKERS,
    ray: Ray = "",
    stop_when_flat: Annotated[
        bool,
        typer.Option(
            "--stop-when-flat",
            help="End the search when the front (its hypervolume) has grown by less than 0.5 % in "
            "64 networks, after 120 networks at the earliest.",
        ),
    ] = False,
    reuse: Annotated[
        bool,
        typer.Option(
            "--reuse/--no-reuse",
            help="Use earlier measurements of a network under the same conditions, from "
            "profiles/DEVICE.jsonl, instead of measuring again. The front is measured in any case.",
        ),
    ] = True,
    ablations: Annotated[
        int,
        typer.Option(
            "--ablations",
            "--changes",
            help="Networks evaluated at the end that differ from the recommended one in one "
            "choice; shows what each choice costs. 0: none.",
        ),
    ] = defaults.ABLATIONS,
    baseline: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FILE[=ACCURACY]",
            help="ONNX or TFLite file of another tool, measured in the same rounds and shown "
            "beside the networks of the study. May be given several times. An accuracy in per "
            "cent, such as rival.onnx=75.3, is shown as stated.",
        ),
    ] = None,
    study: Annotated[
        str,
        typer.Option(
            help="Name of the study. An existing study is continued (default: space, budgets and "
            "device, such as ghostnetv2-300MFLOPs-cpu)."
        ),
    ] = "",
    storage: Storage = defaults.STORAGE,
    reports: ReportFolder = REPORTS,
    json: Json = False,
) -> None:
    """Find the networks of a space that are best on a device within budgets.

    Examples:
    [cyan]gnv2-nas search --budget 300MFLOPs[/]
    [cyan]gnv2-nas search --budget 300MFLOPs --budget 12ms --space mobile --trials 200[/]
    [cyan]gnv2-nas search --device cpu --device cpu-litert --budget 12ms@cpu[/]
    [cyan]gnv2-nas search --budget 300MFLOPs --baseline rival.onnx=75.3[/]
    [cyan]gnv2-nas search --data images --quality supernet:supernet.safetensors --budget 12ms[/]
    """
    from gnv2_nas.units import parse_duration
    from gnv2_nas.workflows.search.request import SearchRequest

    seconds, typed = parse_duration(timeout, "--timeout"), join_command([PROGRAM, *sys.argv[1:]])
    checked = SearchRequest(
        tuple(budget or ()), space, tuple(device or [defaults.DEVICE]), quality, data, objectives,
        sampler, trials, seconds, seed, workers, ray, stop_when_flat, reuse, ablations,
        tuple(baseline or ()), study, storage, reports, typed,
    ).check()  # fmt: skip
    from gnv2_nas.cli.options import restart_with_huge_pages
    from gnv2_nas.cli.progress import ProgressDisplay

    restart_with_huge_pages(context.obj)
    from gnv2_nas.workflows.search.run import run_search

    with ProgressDisplay() as display:
        result = run_search(checked, display, began=context.obj)
    if json:
        print_json(result.to_json())
    else:
        say(f"ended: {result.ended}")
        print_outcome(result.record, result.report)
    if result.interrupted:
        raise KeyboardInterrupt


def print_outcome(record: StudyRecord, files: ReportFiles | None) -> None:
    """Print what a study has found, where its report is, and the next commands."""
    print_findings(record)
    if files is not None:
        say(f"report: {files.html}")
    print_next(record)


def print_findings(record: StudyRecord) -> None:
    """Print the table of the front and, for a list of budgets, that of the picks within each.

    A view without a front names the network nearest to its budgets.
    """
    from gnv2_nas.report.study_page.device_table import describe_devices
    from gnv2_nas.search.analysis.device_ranks import compare_devices
    from gnv2_nas.search.analysis.pareto import joint_front
    from gnv2_nas.search.analysis.views import describe_views, list_views
    from gnv2_nas.workflows.study import (
        describe_nearest,
        format_columns,
        format_files,
        format_picks,
        format_rows,
    )

    views, columns = list_views(record), format_columns(record)
    if members := joint_front(record.trials, record.settings):
        print_table(columns, format_rows(record, members), title="front", left=2)
        if len(views) > 1:
            picks = format_picks(record, views)
            print_table(("", "trial", *columns[2:]), picks, title="picks")
    if record.foreign:
        print_table(*format_files(record), title="files of other tools", left=2)
    for view in views:
        if not view.found.front:
            where = f"{describe_views([view.label])}: " if view.label else ""
            say(f"{where}{describe_nearest(view.record)}")
    for sentence in describe_devices(compare_devices(record)):
        say(sentence)
    if not all(member.is_stable for member in members):
        say("?: the interval is too wide; measure again with gnv2-nas profile STUDY:TRIAL")


def print_next(record: StudyRecord) -> None:
    """Print the next command for each recommended network."""
    from gnv2_nas.report.wording import UNTRAINED, next_command
    from gnv2_nas.search.analysis.views import describe_views, list_views

    labels: dict[str, list[str]] = {}
    for view in list_views(record):
        if view.found.recommended is not None:
            command = next_command(view.record, view.found.recommended)
            labels.setdefault(command, []).append(view.label)
    if labels and not record.settings.data:
        say(f"note: {UNTRAINED}")
    for command, where in labels.items():
        say(f"{f'next {describe_views(where)}'.strip()}: {command}")


def report(
    study: Annotated[str, typer.Argument(help="Name of the study.")],
    storage: Storage = defaults.STORAGE,
    reports: ReportFolder = REPORTS,
    json: Json = False,
) -> None:
    """Rewrite the report of a study as HTML, CSV and JSON, and print what the study has found.

    Example:
    [cyan]gnv2-nas report ghostnetv2-300MFLOPs-cpu[/]
    """
    from gnv2_nas.workflows.study import ReportRequest, run_report

    record, files = run_report(ReportRequest(study, storage, reports).check())
    if json:
        return print_json({"html": str(files.html), "csv": str(files.csv), "json": str(files.json)})
    return print_outcome(record, files)
