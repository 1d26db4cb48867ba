"""`gnv2-nas quality`"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gnv2_nas.cli.console import print_json, print_table, say
from gnv2_nas.cli.options import (
    Data,
    Json,
    NetworkSeed,
    Ray,
    SpaceName,
    TrainingWorkers,
    map_each,
    normalize_quality,
)
from gnv2_nas.search.study import defaults

if TYPE_CHECKING:
    from gnv2_nas.quality.base import EstimatorInfo

app = typer.Typer(rich_markup_mode="rich")


@app.callback(invoke_without_command=True)
def quality(context: typer.Context, json: Json = False) -> None:
    """List the quality scores, check how far to trust them, or fit a predictor.

    Examples:
    [cyan]gnv2-nas quality[/]
    [cyan]gnv2-nas quality check --data digits --space tiny[/]
    """
    if context.invoked_subcommand is None:
        list_estimators(json=json)


@app.command(name="list")
def list_estimators(json: Json = False) -> None:
    """List what a search can maximise, with cost, noise and requirements.

    Example:
    [cyan]gnv2-nas quality list[/]
    """
    from gnv2_nas.quality.base import ESTIMATORS

    if json:
        return print_json(dict(ESTIMATORS))
    rows = [
        (_spec(info), info.note, "yes" if info.is_accuracy else "no", _needs(info), _noise(info),
         info.cost)
        for info in ESTIMATORS.values()
    ]  # fmt: skip
    columns = ("--quality", "what it is", "accuracy", "needs", "noise", "a network costs")
    print_table(columns, rows, left=6)
    return say("how far to trust them: gnv2-nas quality check --data DIR --space NAME")


@app.command()
def check(
    data: Data,
    space: SpaceName,
    budget: Annotated[
        str,
        typer.Option(
            help="Half of the networks are drawn within 15 % of this FLOPs, such as 4MFLOPs "
            "(default: the median of the space)."
        ),
    ] = "",
    networks: Annotated[
        int, typer.Option(help="Networks to train, half of them near --budget.")
    ] = 12,
    in_band: Annotated[
        int | None,
        typer.Option(help="How many of the networks are near --budget (default: half)."),
    ] = None,
    resolution: Annotated[
        int | None,
        typer.Option(
            help="Train at this resolution in place of the largest of the space, and at smaller "
            "ones likewise. Much faster for spaces of 224 pixels."
        ),
    ] = None,
    seeds: Annotated[int, typer.Option(help="Trainings of each network.")] = 2,
    epochs: Annotated[
        float | None,
        typer.Option(help="Epochs of each training (default: half of what gnv2-nas train uses)."),
    ] = None,
    supernet: Annotated[
        Path | None, typer.Option(help="Also check the accuracies of this supernet.")
    ] = None,
    quality: Annotated[
        list[str] | None,
        typer.Option(
            help="Also check this accuracy, besides all scores without images: train[:FILE] or "
            "predictor:FILE. May be given several times.",
            callback=map_each(normalize_quality),
        ),
    ] = None,
    seed: NetworkSeed = 0,
    workers: TrainingWorkers = defaults.WORKERS,
    ray: Ray = "",
    json: Json = False,
) -> None:
    """Train a sample of networks, and show which score ranks them correctly.

    Writes search_spaces/SPACE.trust.json, which reports show.
    After an interruption, run the same command again to run the missing trainings.

    Examples:
    [cyan]gnv2-nas quality check --data digits --space tiny[/]
    [cyan]gnv2-nas quality check --data images --space mobile --budget 300MFLOPs --resolution 96[/]
    [cyan]gnv2-nas quality check --data images --space mobile --workers 4[/]
    """
    from gnv2_nas.workflows.trust import TrustRequest, run_trust

    files = () if supernet is None else (f"supernet:{supernet}",)
    estimators = (*files, *(quality or ()))
    checked = TrustRequest(
        data, space, budget, networks, seeds, epochs, estimators, seed, in_band, resolution,
        workers, ray,
    ).check()  # fmt: skip
    from gnv2_nas.cli.progress import ProgressDisplay
    from gnv2_nas.report.trust_table import TRUST_COLUMNS, trust_caption, trust_rows

    with ProgressDisplay() as display:
        panel = run_trust(checked, display)
    if json:
        return print_json(panel)
    print_table(TRUST_COLUMNS, trust_rows(panel), left=1)
    say(trust_caption(panel))
    return say(panel.data_free_sentence())


@app.command()
def fit(
    data: Data,
    space: SpaceName,
    quality: Annotated[
        str,
        typer.Option(
            help="The accuracy to predict: supernet:FILE or train[:FILE].",
            callback=normalize_quality,
        ),
    ],
    output: Annotated[Path, typer.Option(help="File to write.")] = Path("predictor.json"),
    networks: Annotated[int, typer.Option(help="Networks to evaluate and learn from.")] = 150,
    seed: NetworkSeed = 0,
    json: Json = False,
) -> None:
    """Fit a predictor of accuracy that scores thousands of networks a second.

    After an interruption, run the same command again to evaluate the missing networks.

    Example:
    [cyan]gnv2-nas quality fit --data digits --space tiny --quality supernet:supernet.safetensors[/]
    """
    from gnv2_nas.commands import quote
    from gnv2_nas.workflows.predictor import PredictorFitRequest, run_predictor_fit

    checked = PredictorFitRequest(data, space, quality, output, networks, seed).check()
    from gnv2_nas.cli.progress import ProgressDisplay

    with ProgressDisplay() as display:
        found = run_predictor_fit(checked, display)
    if json:
        answer = {"predictor": str(output), "networks": found.networks, "errors": found.errors}
        return print_json(answer)
    rows = [
        (each.name, f"{each.mae:.2f}", f"{each.rmse:.2f}", str(each.agreement or "–"))
        for each in found.errors
    ]
    print_table(("held-out error", "mean, %", "root mean square, %", "τ [95%]"), rows)
    say(f"cross-validated over {found.networks} networks of space {found.space}")
    return say(f"predictor: {output}; use it with --quality {quote(f'predictor:{output}')}")


def _spec(info: EstimatorInfo) -> str:
    if info.needs_file:
        return f"{info.name}:FILE"
    return f"{info.name}[:FILE]" if info.file else info.name


def _needs(info: EstimatorInfo) -> str:
    needs = ["images"] * info.needs_data + ["a file"] * info.needs_file
    return ", ".join(needs) or "nothing"


def _noise(info: EstimatorInfo) -> str:
    if info.noise:
        return f"{info.noise:g}{info.unit}"
    return "shown by search" if info.needs_file else "none"
