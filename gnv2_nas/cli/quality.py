"""`gnv2-nas quality`: what a search can maximise, how far to believe it, and a predictor of it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gnv2_nas.cli.console import print_json, print_table, say
from gnv2_nas.cli.options import Json

if TYPE_CHECKING:
    from gnv2_nas.quality.trust import TrustPanel
    from gnv2_nas.quality.trust_check import TrustPlan

Data = Annotated[str, typer.Option(help="Images: a folder of class folders, or digits.")]
Space = Annotated[str, typer.Option(help="Search space: a name or a YAML file.")]

app = typer.Typer(help="Quality scores: what there is, and how far to believe it.")


@app.callback(invoke_without_command=True)
def quality(context: typer.Context, json: Json = False) -> None:
    """Quality scores: what there is, how far to believe it, and a predictor of it.

    Example: [cyan]gnv2-nas quality[/],
    [cyan]gnv2-nas quality check --data digits --space tiny[/]
    """
    if context.invoked_subcommand is None:
        _list(json=json)


@app.command(name="list")
def list_estimators(json: Json = False) -> None:
    """List what a search can maximise.

    Example: [cyan]gnv2-nas quality list[/]
    """
    _list(json=json)


@app.command()
def check(
    data: Data,
    space: Space,
    budget: Annotated[
        str, typer.Option(help="Middle of the budget band, for instance 4MFLOPs; else the median.")
    ] = "",
    networks: Annotated[int, typer.Option(help="Networks to train, half of them in band.")] = 12,
    seeds: Annotated[int, typer.Option(help="Trainings of each network.")] = 2,
    epochs: Annotated[
        float, typer.Option(help="Length of a training; 0 takes half of the usual one.")
    ] = 0.0,
    quality: Annotated[
        list[str] | None,
        typer.Option(help="Also check this: train, predictor:FILE. May be given several times."),
    ] = None,
    supernet: Annotated[
        Path | None, typer.Option(help="Also check the accuracy with this supernet's weights.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the networks that are drawn.")] = 0,
    json: Json = False,
) -> None:
    """Train a handful of networks and see which score would have ordered them.

    Kept as search_spaces/SPACE.trust.json; reports show it. Interrupted, the same command goes on
    with the trainings that are left.

    Example: [cyan]gnv2-nas quality check --data digits --space tiny[/],
    [cyan]gnv2-nas quality check --data images --space mobile --budget 300MFLOPs[/]
    """
    from gnv2_nas.cli.trust import checked_specs, planned, run

    specs = checked_specs(quality or (), supernet)
    plan = planned(data, space, budget, networks, seeds, epochs, seed)
    panel = run(plan, specs)
    return print_json(panel) if json else _print_panel(panel)
