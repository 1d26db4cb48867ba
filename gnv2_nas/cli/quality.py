"""`gnv2-nas quality`: what a search can maximise, how far to believe it, and a predictor of it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gnv2_nas.cli import any_case
from gnv2_nas.cli.options import Json

Data = Annotated[
    str,
    typer.Option(help="Images: a folder of class folders, or digits.", callback=any_case.data),
]
Space = Annotated[
    str, typer.Option(help="Search space: a name or a YAML file.", callback=any_case.space)
]
Seed = Annotated[int, typer.Option(help="Seed of the networks that are drawn.")]

app = typer.Typer(rich_markup_mode="rich")


@app.callback(invoke_without_command=True)
def quality(context: typer.Context, json: Json = False) -> None:
    """List quality scores, check how far to believe them, fit a predictor.

    Example: [cyan]gnv2-nas quality[/],
    [cyan]gnv2-nas quality check --data digits --space tiny[/]
    """
    if context.invoked_subcommand is None:
        list_estimators(json=json)


@app.command(name="list")
def list_estimators(json: Json = False) -> None:
    """List what a search can maximise: cost, noise, what it needs.

    Example: [cyan]gnv2-nas quality list[/]
    """
    from gnv2_nas.cli.quality_tables import print_estimators

    print_estimators(json=json)


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
        float | None, typer.Option(help="Length of a training; else half of the usual one.")
    ] = None,
    supernet: Annotated[
        Path | None, typer.Option(help="Check the accuracy with this supernet's weights, too.")
    ] = None,
    quality: Annotated[
        list[str] | None,
        typer.Option(
            help="Check this, too: train or predictor:FILE. May be given several times.",
            callback=any_case.each_of(any_case.quality),
        ),
    ] = None,
    seed: Seed = 0,
    json: Json = False,
) -> None:
    """Train a handful of networks, and see which score would have ordered them.

    The answer is kept as search_spaces/SPACE.trust.json, and reports show it. Interrupted, the
    same command goes on with the trainings that are left.

    Example: [cyan]gnv2-nas quality check --data digits --space tiny[/],
    [cyan]gnv2-nas quality check --data images --space mobile --budget 300MFLOPs[/]
    """
    from gnv2_nas.workflows.trust import TrustRequest, check_trust_request

    files = () if supernet is None else (f"supernet:{supernet}",)
    asked = TrustRequest(
        data=data,
        space=space,
        budget=budget,
        networks=networks,
        seeds=seeds,
        epochs=epochs,
        estimators=(*files, *(quality or ())),
        seed=seed,
    )
    checked = check_trust_request(asked)

    from gnv2_nas.cli.checking import check_with_progress
    from gnv2_nas.cli.quality_tables import print_panel

    panel = check_with_progress(checked)
    return print_panel(panel, json=json)


@app.command()
def fit(
    data: Data,
    space: Space,
    quality: Annotated[
        str,
        typer.Option(
            help="The accuracy to predict: supernet:FILE or train.", callback=any_case.quality
        ),
    ],
    output: Annotated[Path, typer.Option(help="Where the predictor goes.")] = Path(
        "predictor.json"
    ),
    networks: Annotated[int, typer.Option(help="Networks to evaluate and learn from.")] = 150,
    seed: Seed = 0,
    json: Json = False,
) -> None:
    """Fit a predictor of accuracy that scores thousands of networks a second.

    Interrupted, the same command goes on with the networks that are left.

    Example:
    [cyan]gnv2-nas quality fit --data digits --space tiny --quality supernet:supernet.safetensors[/]
    """
    from gnv2_nas.cli.checking import fit_with_progress
    from gnv2_nas.cli.quality_tables import print_predictor

    predictor = fit_with_progress(data, space, quality, output, networks, seed)
    return print_predictor(predictor, output, json=json)
