"""`gnv2-nas train`"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gnv2_nas.checkpoints.state_dicts import AVERAGE
from gnv2_nas.cli import any_case
from gnv2_nas.cli.options import Json, Storage
from gnv2_nas.cli.weights import WeightsFrom
from gnv2_nas.search.study import defaults


def train(
    network: Annotated[
        str,
        typer.Argument(
            help="A preset, an architecture JSON file, STUDY:TRIAL, a .safetensors file to go on "
            "from; or the word supernet, with --space.",
            callback=any_case.network,
        ),
    ],
    data: Annotated[
        str,
        typer.Option(
            help="Your images: a folder of class folders, or digits (built in).",
            callback=any_case.data,
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option(help="File to write, .safetensors; by default named after the network."),
    ] = None,
    space: Annotated[
        str,
        typer.Option(help="For supernet: the space it shall contain.", callback=any_case.space),
    ] = "",
    from_supernet: Annotated[
        Path | None, typer.Option(help="Begin with the weights of this supernet.")
    ] = None,
    weights: Annotated[
        Path | None, typer.Option(help="Begin with this checkpoint (.safetensors or .pth).")
    ] = None,
    weights_from: WeightsFrom = AVERAGE,
    epochs: Annotated[
        float | None, typer.Option(help="How often every image is seen; by default by their number")
    ] = None,
    batch_size: Annotated[int | None, typer.Option(help="Images of one update.")] = None,
    learning_rate: Annotated[float | None, typer.Option(help="At its highest.")] = None,
    resolution: Annotated[
        int | None, typer.Option(help="Height and width of the image, where not the network's own.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of weights, order and augmentation.")] = defaults.SEED,
    device: Annotated[
        str, typer.Option(help="auto, cpu, cuda, cuda:1 or mps.", callback=any_case.lower)
    ] = "auto",
    storage: Storage = defaults.STORAGE,
    json: Json = False,
) -> None:
    """Train a network, or a supernet of a space, on your images; killed, the same command goes on.

    The classifier gets as many outputs as there are classes.

    Example: [cyan]gnv2-nas train ghostnetv2-1.0 --data images --resolution 96[/],
    [cyan]gnv2-nas train supernet --data digits --space tiny[/],
    [cyan]gnv2-nas train STUDY:12 --data images --from-supernet supernet.safetensors[/]
    """
    from gnv2_nas.cli.training_request import TrainRequest, check_request

    asked = TrainRequest(
        network=network,
        data=data,
        output=output,
        space=space,
        from_supernet=from_supernet,
        weights=weights,
        weights_from=weights_from,
        epochs=epochs,
        batch_size=batch_size,
        learning_rate=learning_rate,
        resolution=resolution,
        seed=seed,
        device=device,
        storage=storage,
    )
    checked = check_request(asked)
    from gnv2_nas.cli.training import run

    run(checked, json=json)
