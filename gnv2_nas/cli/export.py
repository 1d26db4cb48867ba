"""`gnv2-nas export`"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gnv2_nas.cli.console import say
from gnv2_nas.cli.options import Storage
from gnv2_nas.errors import InputError, UnknownNameError
from gnv2_nas.search import defaults

FORMATS = ("json", "onnx")


def export(
    network: Annotated[
        str, typer.Argument(help="A preset, an architecture JSON file, or STUDY:TRIAL.")
    ],
    format: Annotated[str, typer.Option(help="onnx, or json for the architecture.")] = "onnx",  # noqa: A002
    weights: Annotated[
        Path | None, typer.Option(help="Checkpoint (.safetensors or .pth); random weights without.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option(help="File to write; by default the network's id.")
    ] = None,
    storage: Storage = defaults.STORAGE,
) -> None:
    """Write the file to deploy: ONNX with batch norm folded, batch 1, float32.

    Example: [cyan]gnv2-nas export ghostnetv2-1.0 --format onnx --output stock.onnx[/]
    """
    if format not in FORMATS:
        raise UnknownNameError("format", format, FORMATS)
    if format == "json" and weights is not None:
        raise InputError("--weights has no place in the JSON of an architecture; leave it out")
    from gnv2_nas.files import check_output, write_atomically
    from gnv2_nas.search.networks import find_network

    arch = find_network(network, storage)
    path = output or Path(f"{arch.id}.{format}")
    check_output(path)
    if format == "json":
        write_atomically(path, arch.to_json())
    else:
        from gnv2_nas.cli.weights import trained

        model = None if weights is None else trained(arch, weights)
        from gnv2_nas.graph import onnx_bytes

        write_atomically(path, onnx_bytes(arch, model))
        if weights is None:
            say("weights: random, made for timing; give --weights for a network that was trained")
    size = path.stat().st_size
    say(f"written: {path} ({size / 1e6:.1f} MB)" if size >= 1e5 else f"written: {path} ({size} B)")
