"""`gnv2-nas export`"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gnv2_nas.checkpoints.state_dicts import AVERAGE
from gnv2_nas.cli.options import (
    Storage,
    WeightsFrom,
    fold_case,
    load_choices,
    normalize_data,
    normalize_device,
    normalize_network,
)
from gnv2_nas.search.study import defaults


def export(
    network: Annotated[
        str,
        typer.Argument(
            help="A stock network (a preset, such as ghostnetv2-1.0), STUDY:TRIAL, an architecture "
            "JSON file, or a .safetensors file that gnv2-nas train wrote.",
            callback=normalize_network,
        ),
    ],
    format: Annotated[  # noqa: A002
        str,
        typer.Option(
            help="onnx, openvino (.xml and .bin), ncnn (.param and .bin), tflite, "
            "pte (ExecuTorch), or json for the architecture (default: what --device reads, or "
            "onnx).",
            callback=fold_case(load_choices("workflows.export", "FORMATS")),
        ),
    ] = "",
    device: Annotated[
        str,
        typer.Option(
            help="Device profile that decides the form of the file, see [cyan]gnv2-nas devices "
            "tune[/] (default: the device of the study, or the built-in form).",
            callback=normalize_device,
        ),
    ] = "",
    weights: Annotated[
        Path | None,
        typer.Option(
            help="Checkpoint, .safetensors or .pth (default: the network's own file; without one, "
            "random weights)."
        ),
    ] = None,
    weights_from: WeightsFrom = AVERAGE,
    output: Annotated[
        Path | None,
        typer.Option(
            help="File to write (default: ID.onnx, where ID is the network's id; other formats "
            "have their own suffix). Overwrites only an earlier export of the same format."
        ),
    ] = None,
    precision: Annotated[
        str,
        typer.Option(
            help="fp32, or int8 for onnx and openvino.",
            callback=fold_case(load_choices("workflows.export", "PRECISIONS")),
        ),
    ] = "fp32",
    calibration_images: Annotated[
        Path | None,
        typer.Option(
            help="For int8: a folder of images, or an .npy array of pixels (0 to 255) or of "
            "float32 images prepared as for inference (default: those of --data; noise for random "
            "weights)."
        ),
    ] = None,
    data: Annotated[
        str,
        typer.Option(
            help="For int8: the images that the weights were trained on (default: the folder that "
            "the weights name).",
            callback=normalize_data,
        ),
    ] = "",
    storage: Storage = defaults.STORAGE,
) -> None:
    """Write the file to deploy (the same file that is timed) and a model card.

    Batch norm is folded and the batch size is 1.
    The model card describes the input and the accuracy.

    Examples:
    [cyan]gnv2-nas export trained.safetensors --format onnx[/]
    [cyan]gnv2-nas export ghostnetv2-1.0 --format tflite --output stock.tflite[/]
    [cyan]gnv2-nas export ghostnetv2-1.0 --device cpu-ncnn --output stock[/]
    """
    from gnv2_nas.workflows.export import ExportRequest, run_export

    checked = ExportRequest(
        network, format, weights, weights_from, output, precision, calibration_images, data,
        storage, device,
    ).check()  # fmt: skip
    from gnv2_nas.cli.progress import ProgressDisplay

    with ProgressDisplay() as display:
        run_export(checked, display)
