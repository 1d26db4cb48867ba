"""`gnv2-nas train`"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gnv2_nas.checkpoints.state_dicts import AVERAGE
from gnv2_nas.cli import options
from gnv2_nas.cli.console import print_json, say
from gnv2_nas.search.study import defaults

if TYPE_CHECKING:
    from gnv2_nas.workflows.trainings import FinishedTraining


def train(
    networks: Annotated[
        list[str],
        typer.Argument(
            metavar="NETWORK...",
            help="A stock network (a preset, such as ghostnetv2-1.0), STUDY:TRIAL, an architecture "
            "JSON file, a .safetensors file that gnv2-nas train wrote, to start from its weights, "
            "or the word supernet (with --space). Several networks are trained with the same "
            "options.",
            callback=options.map_each(options.normalize_network),
        ),
    ],
    data: options.Data,
    output: Annotated[
        Path | None,
        typer.Option(
            help="Weight file to write, .safetensors (default: named after NETWORK, such as "
            "ghostnetv2-1.0.safetensors or STUDY-TRIAL.safetensors). For several networks: a "
            "folder, which gets a file named after each."
        ),
    ] = None,
    space: Annotated[
        str,
        typer.Option(
            help="Search space to cover (only with supernet).", callback=options.normalize_space
        ),
    ] = "",
    from_supernet: Annotated[
        Path | None, typer.Option(help="Start from the weights of this supernet.")
    ] = None,
    weights: Annotated[
        Path | None, typer.Option(help="Start from this checkpoint (.safetensors or .pth).")
    ] = None,
    weights_from: options.WeightsFrom = AVERAGE,
    epochs: Annotated[
        float | None, typer.Option(help="Number of epochs (default: scaled to the data set).")
    ] = None,
    batch_size: Annotated[
        int | None,
        typer.Option(
            help="Images per update (default: about the square root of the number of images; at "
            "least 16, for a supernet 64, and at most 1024)."
        ),
    ] = None,
    learning_rate: Annotated[
        float | None,
        typer.Option(
            help="Peak learning rate (default: 0.4 at batch size 1024, in proportion to the square "
            "root of the batch size; a quarter of that from trained weights)."
        ),
    ] = None,
    resolution: Annotated[
        int | None,
        typer.Option(help="Height and width of the images (default: the network's own)."),
    ] = None,
    seed: Annotated[
        int, typer.Option(help="Seed of initial weights, order of images and augmentation.")
    ] = defaults.SEED,
    recipe: Annotated[
        str,
        typer.Option(
            help="v2, or v3: with GhostNetV3's branches, which are folded into the network at the "
            "end.",
            callback=options.lower,
        ),
    ] = "v2",
    teacher: Annotated[
        Path | None,
        typer.Option(
            help="Learn from the answers of this network, too: a .safetensors file that gnv2-nas "
            "train wrote (of a supernet, its largest network teaches), or an .onnx classifier, of "
            "the same classes and resolution."
        ),
    ] = None,
    device: Annotated[
        str,
        typer.Option(
            help="Where to train: auto, cpu, cuda, cuda:1 or mps (not a device profile).",
            callback=options.lower,
        ),
    ] = "auto",
    workers: options.TrainingWorkers = defaults.WORKERS,
    ray: options.Ray = "",
    storage: options.Storage = defaults.STORAGE,
    json: options.Json = False,
) -> None:
    """Train networks, or the supernet of a space, on your images.

    The classifier gets one output for each class.
    After an interruption, run the same command again to continue.

    Examples:
    [cyan]gnv2-nas train ghostnetv2-1.0 --data images --resolution 96[/]
    [cyan]gnv2-nas train supernet --data digits --space tiny[/]
    [cyan]gnv2-nas train STUDY:12 --data images --from-supernet supernet.safetensors[/]
    [cyan]gnv2-nas train STUDY:6 STUDY:9 --data images --workers 2[/]
    """
    from gnv2_nas.workflows.training_request import TrainRequest, check_trainings

    request = TrainRequest(
        networks[0], data, output, space, from_supernet, weights, weights_from, epochs, batch_size,
        learning_rate, resolution, seed, device, storage, recipe, teacher,
    )  # fmt: skip
    checked = check_trainings(networks, request, workers, ray)
    from gnv2_nas.cli.progress import ProgressDisplay
    from gnv2_nas.errors import TrainingError
    from gnv2_nas.workflows.training import is_leader
    from gnv2_nas.workflows.trainings import raise_failures, run_trainings

    several, results, failures = len(networks) > 1, [], {}
    with ProgressDisplay() as display:
        for training, finished in run_trainings(checked, workers, ray, display):
            if isinstance(finished, TrainingError):
                failures[training.output.stem] = finished
            elif is_leader():
                results.append(finished.result)
                for message in finished.messages:
                    say(f"{training.output.stem}: {message}")
                if not json:
                    _print_result(finished, several=several)
    if json and is_leader() and (several or results):
        print_json(results if several else results[0])
    raise_failures(failures, len(networks))


def _print_result(finished: FinishedTraining, *, several: bool) -> None:
    output, page = Path(finished.result["output"]), finished.result["curve"]
    say(f"{output.stem}: {finished.headline}" if several else finished.headline)
    say(f"written: {output} ({output.stat().st_size / 1e6:.1f} MB)")
    say(f"written: {page}, its curve")
    say(f"next: {finished.result['next']}")
