"""`gnv2-nas profile`, and what it prints."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated

import typer

from gnv2_nas.cli.console import print_table, say
from gnv2_nas.cli.options import (
    DeviceName,
    Json,
    Storage,
    get_only_device,
    map_each,
    normalize_network,
)
from gnv2_nas.cli.profile.history import print_history
from gnv2_nas.cli.profile.memories import print_memories
from gnv2_nas.cli.profile.sizes import print_sizes
from gnv2_nas.cli.profile.sustained import print_sustained
from gnv2_nas.graph import count
from gnv2_nas.measurement.records.history import History
from gnv2_nas.search.study import defaults
from gnv2_nas.stats.intervals import Z95

if TYPE_CHECKING:
    from gnv2_nas.latency_model.model import PredictedLatency
    from gnv2_nas.workflows.profile.results import (
        Comparisons,
        LayerTables,
        Memories,
        Predictions,
        Sizes,
    )
    from gnv2_nas.workflows.profile.sustained import Sustained

UNLIKE = 2.0
"""A prediction this many times less certain than a typical one belongs to an unfamiliar network."""
MAX_FACTOR = 3.0
"""A prediction whose 95 % interval reaches this factor is not shown."""


def print_profile(
    result: Sizes | Comparisons | LayerTables | Memories | Predictions | Sustained | History,
) -> None:
    """Print the tables of a profile."""
    from gnv2_nas.workflows.profile.results import (
        Comparisons,
        LayerTables,
        Memories,
        Predictions,
        Sizes,
    )
    from gnv2_nas.workflows.profile.sustained import Sustained

    match result:
        case Sizes():
            print_sizes(result)
        case Comparisons():
            _print_comparisons(result)
        case LayerTables():
            _print_layers(result)
        case Memories():
            print_memories(result)
        case Predictions():
            _print_predictions(result)
        case Sustained():
            print_sustained(result)
        case History():
            print_history(result)


def _print_comparisons(result: Comparisons) -> None:
    rows = [
        (name, f"{c.ratio:.3f}", f"{c.ci95[0]:.3f}–{c.ci95[1]:.3f}", f"{c.margin:.1%}", c.verdict)
        for name, c in result.comparisons.items()
    ]
    print_table((f"against {result.first}", "ratio", "95 %", "margin", "verdict"), rows)
    say("margin: difference between two sessions of one network that is exceeded 1 time in 20;")
    say("CANNOT TELL: inconclusive; use a quieter machine or treat the two as equally fast.")


def _print_layers(result: LayerTables) -> None:
    for name, layers in result.tables.items():
        rows = [
            (
                layer.name, layer.kind, "x".join(map(str, layer.shape)), f"{layer.ms:.3f}",
                f"{layer.macs / 1e6:.2f}", f"{layer.share:.1%}",
            )
            for layer in layers
        ]  # fmt: skip
        print_table(("layer", "kind", "output", "ms", "MFLOPs", "share"), rows, title=name, left=3)
    say("(layout): copies that the runtime adds to rearrange feature maps")


def _print_predictions(result: Predictions) -> None:
    model, fitted_on = result.model, result.fitted_on
    typical = model.error.error * math.sqrt(math.pi / 2)  # standard deviation of normal errors
    rows = []
    for (name, arch), predicted in zip(result.networks.items(), result.predictions, strict=True):
        counts = count(arch)
        sizes = (f"{counts.params / 1e6:.2f}", f"{counts.macs / 1e6:.2f}")
        rows.append((name, *sizes, *_format_prediction(predicted, typical)))
        if predicted.std > UNLIKE * typical:
            say(f"? {name}: unlike the networks that the model was fitted to; measure it")
    columns = ("network", "Mparams", "MFLOPs", "predicted ms", "95 %", "÷ V2 1.0")
    print_table(columns, rows)
    others = ", ".join(f"{each.name} {each.error:.1%}" for each in model.errors[1:])
    say(
        f"predicted, not measured: on {model.held_out} networks it had not seen, the model of "
        f"device {fitted_on.device} has a mean error of {model.error.error:.1%} ({others}, noise "
        f"floor {model.noise_floor:.1%})"
    )
    say(
        f"fitted to {model.networks} networks of space {fitted_on.space} on "
        f"{fitted_on.fingerprint.cpu}, {fitted_on.fingerprint.runtime}"
    )
    say("95 %: contains the measured latency 19 times in 20; leave --predict out to measure it.")
    for difference in result.differences:
        say(f"warning: the model was fitted on another machine; {difference}")


def _format_prediction(predicted: PredictedLatency, typical: float) -> tuple[str, str, str]:
    """Return milliseconds, 95 % interval and ratio."""
    half = Z95 * predicted.std
    if half > math.log(MAX_FACTOR):
        return "cannot tell", "–", "–"
    mark = " ?" if predicted.std > UNLIKE * typical else ""
    low, high = (predicted.ms * math.exp(side * half) for side in (-1, 1))
    return f"{predicted.ms:.2f}{mark}", f"{low:.2f}–{high:.2f}", f"{predicted.ratio:.3f}"


def profile(
    context: typer.Context,
    networks: Annotated[
        list[str] | None,
        typer.Argument(
            help="Stock networks (presets, such as ghostnetv2-1.0), STUDY:TRIAL, architecture JSON "
            "files, .safetensors files that gnv2-nas train wrote, or .onnx and .tflite files of "
            "other tools (default: all stock networks).",
            callback=map_each(normalize_network),
        ),
    ] = None,
    device: DeviceName = None,
    layers: Annotated[
        bool,
        typer.Option(
            "--layers",
            help="Show time, FLOPs and share of every layer in place of the table of networks.",
        ),
    ] = False,
    memory: Annotated[
        bool,
        typer.Option(
            "--memory",
            help="Show computed memory, file size and measured peak memory in place of the table "
            "of networks.",
        ),
    ] = False,
    compare: Annotated[
        bool, typer.Option("--compare", help="Compare every other network with the first.")
    ] = False,
    budget: Annotated[
        str,
        typer.Option(
            help="Latency budget, such as 12ms. Shows for each network: met, broken or cannot tell."
        ),
    ] = "",
    predict: Annotated[
        bool,
        typer.Option(
            "--predict",
            help="Predict latency instead of measuring it, with the model that gnv2-nas devices "
            "fit wrote for the device.",
        ),
    ] = False,
    pace: Annotated[
        str,
        typer.Option(
            help="Measure with pauses, as an application that gets so many frames a second does, "
            "such as 30fps (default: as the device's profile says; without it, no pauses)."
        ),
    ] = "",
    sustained: Annotated[
        str,
        typer.Option(
            help="Run each network for so long, such as 5m, and compare the last minute with the "
            "first, in place of the table of networks."
        ),
    ] = "",
    history: Annotated[
        bool,
        typer.Option(
            "--history",
            help="Show all earlier measurements of the networks on the device, and how their "
            "latency moved, instead of measuring.",
        ),
    ] = False,
    export: Annotated[
        tuple[str, str] | None,
        typer.Option(
            metavar="FORMAT FILE",
            help="Also write the raw samples: google-benchmark FILE writes the JSON that "
            "google-benchmark's compare.py reads.",
        ),
    ] = None,
    reuse: Annotated[
        bool,
        typer.Option(
            "--reuse",
            help="Use earlier measurements under the same conditions that are as precise, instead "
            "of measuring again.",
        ),
    ] = False,
    storage: Storage = defaults.STORAGE,
    json: Json = False,
) -> None:
    """Show size, FLOPs, memory and measured latency of networks.

    Examples:
    [cyan]gnv2-nas profile --device cpu[/]
    [cyan]gnv2-nas profile ghostnet-1.0 ghostnetv2-1.0 --compare[/]
    [cyan]gnv2-nas profile ghostnetv2-1.0 rival.onnx[/]
    [cyan]gnv2-nas profile ghostnetv2-1.0 --pace 30fps[/]
    [cyan]gnv2-nas profile ghostnetv2-1.0 --memory[/]
    [cyan]gnv2-nas profile ghostnetv2-1.0 --history[/]
    """
    from gnv2_nas.workflows.profile.run import ProfileRequest, run_profile

    checked = ProfileRequest(
        tuple(networks or ()), get_only_device(device), layers, memory, compare, budget, predict,
        pace, sustained, history, export, reuse, storage,
    ).check()  # fmt: skip
    from gnv2_nas.cli.console import print_json
    from gnv2_nas.cli.options import restart_with_huge_pages
    from gnv2_nas.cli.progress import ProgressDisplay

    restart_with_huge_pages(context.obj)
    with ProgressDisplay() as display:
        result = run_profile(checked, display)
    return print_json(result.to_json()) if json else print_profile(result)
