"""`gnv2-nas evaluate`"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from gnv2_nas.cli import options
from gnv2_nas.cli.console import print_json, print_line, print_table, say
from gnv2_nas.search.study import defaults

if TYPE_CHECKING:
    from gnv2_nas.evaluation.results import Evaluation


def evaluate(
    context: typer.Context,
    study: Annotated[
        str,
        typer.Argument(help="STUDY, or STUDY:TRIAL for another network than the recommended one."),
    ],
    data: Annotated[
        str,
        typer.Option(
            help=f"{options.DATA_HELP} (default: those of the study)",
            callback=options.normalize_data,
        ),
    ] = "",
    seeds: Annotated[
        int, typer.Option(help="Trainings of each network; 1 gives no honest interval.")
    ] = 3,
    networks: Annotated[
        list[str] | None,
        typer.Option(
            help="The rivals, one for each --networks: stock (the best stock networks within the "
            "budgets, GhostNet and MobileNetV3-Large), random (two near the pick's latency from "
            "the space), a stock network by name, a file or STUDY:TRIAL (default: stock and "
            "random).",
            callback=options.map_each(options.normalize_network),
        ),
    ] = None,
    epochs: Annotated[
        float | None, typer.Option(help="Length of a training (default: scaled to the data set).")
    ] = None,
    recipe: Annotated[
        str, typer.Option(help="v2 or v3, for all networks.", callback=options.lower)
    ] = "v2",
    precision: Annotated[
        str,
        typer.Option(
            help="fp32 or int8, of the files (default: as the devices' profiles say).",
            callback=options.lower,
        ),
    ] = "",
    memory: Annotated[bool, typer.Option("--memory", help="Measure peak memory, too.")] = False,
    seed: options.NetworkSeed = 0,
    workers: options.TrainingWorkers = defaults.WORKERS,
    ray: options.Ray = "",
    storage: options.Storage = defaults.STORAGE,
    reports: options.ReportFolder = options.REPORTS,
    json: options.Json = False,
) -> None:
    """Train the pick of a study beside its rivals, and say which is better.

    All networks get the same recipe, seeds and images, from random weights.
    They are timed side by side on the study's devices.
    The accuracy is that of the file for the device, run on the held-out images.
    The same command continues; more seeds or rivals train only what is missing.

    Examples:
    [cyan]gnv2-nas evaluate STUDY --data images --seeds 3[/]
    [cyan]gnv2-nas evaluate STUDY:12 --networks stock --networks STUDY:7[/]
    """
    from gnv2_nas.workflows.evaluation.request import USUAL, EvaluateRequest, parse_precision

    checked = EvaluateRequest(
        study, data, seeds, tuple(networks or USUAL), recipe, epochs, parse_precision(precision),
        memory, seed, workers, ray, storage, reports,
    ).check()  # fmt: skip
    from gnv2_nas.cli.progress import ProgressDisplay

    options.restart_with_huge_pages(context.obj)
    from gnv2_nas.workflows.evaluation.run import run_evaluation

    with ProgressDisplay() as display:
        result = run_evaluation(checked, display)
    return print_json(result.to_json()) if json else _print_tables(result.evaluation)


def _print_tables(evaluation: Evaluation) -> None:
    from gnv2_nas.report.evaluation_page.page import next_command
    from gnv2_nas.report.evaluation_page.words import (
        describe_table,
        format_line,
        list_columns,
        title_table,
    )

    for table in evaluation.tables:
        title = title_table(table, evaluation.tables)
        rows = [format_line(table, result) for result in table.results]
        print_table(list_columns(table), rows, title=title, left=2)
        for sentence in describe_table(table):
            print_line(sentence)
    for line in evaluation.left_out:
        say(f"left out: {line}")
    for caution in evaluation.cautions:
        say(f"caution: {caution}")
    say(f"next: {next_command(evaluation)}")
