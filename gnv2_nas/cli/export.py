"""`gnv2-nas export`"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gnv2_nas.cli.console import say
from gnv2_nas.cli.live import LiveLine
from gnv2_nas.cli.options import Storage
from gnv2_nas.cli.weights import WeightsFrom, weighed
from gnv2_nas.errors import InputError, UnknownNameError
from gnv2_nas.files import check_output, write_atomically
from gnv2_nas.graph.state_dicts import AVERAGE
from gnv2_nas.search import defaults

if TYPE_CHECKING:
    from gnv2_nas.arch import Architecture, Preprocessing
    from gnv2_nas.graph.training_record import TrainingRecord
    from gnv2_nas.nn import Network
    from gnv2_nas.profiling.runtime import Artefact, CalibrationImages, Precision, Runtime

RUNTIME_OF = {
    "onnx": "onnxruntime", "openvino": "openvino", "ncnn": "ncnn", "tflite": "litert",
    "pte": "executorch",
}  # fmt: skip
FORMATS = ("json", *RUNTIME_OF)
PRECISIONS = ("fp32", "int8")


def export(
    network: Annotated[
        str,
        typer.Argument(
            help="A preset, an architecture JSON file, STUDY:TRIAL, or a .safetensors file that "
            "says which network it is of."
        ),
    ],
    format: Annotated[  # noqa: A002
        str,
        typer.Option(
            help="onnx; openvino (.xml and .bin), ncnn (.param and .bin), tflite, "
            "pte (ExecuTorch); or json for the architecture."
        ),
    ] = "onnx",
    weights: Annotated[
        Path | None,
        typer.Option(
            help="Checkpoint (.safetensors or .pth); the network's own file, or else random "
            "weights, without."
        ),
    ] = None,
    weights_from: WeightsFrom = AVERAGE,
    output: Annotated[
        Path | None, typer.Option(help="File to write; by default the network's id.")
    ] = None,
    precision: Annotated[str, typer.Option(help="fp32, or int8 for onnx and openvino.")] = "fp32",
    calibration_images: Annotated[
        Path | None,
        typer.Option(
            help="For int8: a folder of images, or .npy of images: pixels 0 to 255, or float32 "
            "prepared as for use."
        ),
    ] = None,
    storage: Storage = defaults.STORAGE,
) -> None:
    """Write the file to deploy: batch norm folded, batch 1; the very file that is timed.

    Beside it a model card says what it reads and how accurate it is.

    Example: [cyan]gnv2-nas export trained.safetensors --format onnx[/],
    [cyan]gnv2-nas export ghostnetv2-1.0 --format tflite --output stock.tflite[/]
    """
    if format not in FORMATS:
        raise UnknownNameError("format", format, FORMATS)
    if precision not in PRECISIONS:
        raise UnknownNameError("precision", precision, PRECISIONS)
    if format == "json" and weights is not None:
        raise InputError("--weights has no place in the JSON of an architecture; leave it out")
    from gnv2_nas.search.networks import find_network, is_weights

    arch = find_network(network, storage)
    check_output(output or Path(arch.id))
    if format == "json":
        _write({".json": arch.to_json().encode()}, arch, output)
        return
    if weights is None and is_weights(network):
        weights = Path(network)
    if weights is None and weights_from != AVERAGE:
        raise InputError("--weights-from chooses within a checkpoint; give --weights too")
    if weights is not None:
        arch = weighed(arch, weights, weights_from)
    images = _images(calibration_images, precision, arch, weights)
    _export(arch, weights, weights_from, output, _runtime(format, precision, images))
    if precision == "int8" and calibration_images is None:
        say("calibrated on noise, which is enough for timing; give --calibration-images for use")


def _export(
    arch: Architecture,
    weights: Path | None,
    weights_from: str,
    output: Path | None,
    runtime: Runtime,
) -> None:
    from gnv2_nas.graph.checkpoint import read_preprocessing, read_training
    from gnv2_nas.profiling.parity import check_parity
    from gnv2_nas.report.model_card import Deployed, card_path, model_card
    from gnv2_nas.report.overwriting import check_card

    card = card_path(output or Path(arch.id))
    check_card(card)
    model = None if weights is None else _trained(arch, weights, weights_from)
    preprocessing = None if weights is None else read_preprocessing(weights)
    training = None if weights is None else read_training(weights)
    with LiveLine(f"writing for {runtime.name}"):
        artefact = _with_metadata(runtime.write(arch, model), preprocessing, training)
        apart = check_parity(arch, runtime.load(artefact, 1), runtime, model)
    files = _write(artefact, arch, output)
    say(f"checked in {runtime.version()}: logits differ from torch's by {apart:.1g} of the largest")
    deployed = Deployed(
        files, runtime.precision, runtime.version(), apart, channels_last=runtime.name == "litert"
    )
    source = "" if weights is None else weights.name
    write_atomically(card, model_card(arch, deployed, source, preprocessing, training))
    say(f"written: {card}, its model card")
    if weights is None:
        say("weights: random, made for timing; give --weights for a network that was trained")


def _with_metadata(
    artefact: Artefact, preprocessing: Preprocessing | None, training: TrainingRecord | None
) -> Artefact:
    """An ONNX file that says what the card says; other files as they are."""
    from gnv2_nas.graph.checkpoint_contents import PREPROCESSING_KEY, TRAINING_KEY
    from gnv2_nas.graph.onnx_wire import with_metadata

    known = {PREPROCESSING_KEY: preprocessing, TRAINING_KEY: training}
    entries = {key: value.to_json() for key, value in known.items() if value is not None}
    return {
        suffix: with_metadata(content, **entries) if suffix == ".onnx" else content
        for suffix, content in artefact.items()
    }


def _runtime(
    format: str,  # noqa: A002
    precision: str,
    images: CalibrationImages,
) -> Runtime:
    from gnv2_nas.profiling.runtime import get_runtime

    asked: Precision = "int8" if precision == "int8" else "fp32"
    return get_runtime(RUNTIME_OF[format], asked, calibration_images=images)


def _trained(arch: Architecture, weights: Path, weights_from: str) -> Network:
    from gnv2_nas.cli.weights import trained

    return trained(arch, weights, weights_from).eval()


def _images(
    source: Path | None, precision: str, arch: Architecture, weights: Path | None
) -> CalibrationImages:
    if source is None or precision != "int8":
        return str(source or "")
    from gnv2_nas.cli.calibration_images import calibration_images
    from gnv2_nas.graph.checkpoint import read_preprocessing

    preprocessing = None if weights is None else read_preprocessing(weights)
    return calibration_images(source, arch.resolution, preprocessing)


def _write(artefact: Artefact, arch: Architecture, output: Path | None) -> tuple[Path, ...]:
    """One file under the name asked for; of several each with its own suffix."""
    written = []
    for suffix, content in artefact.items():
        path = output or Path(f"{arch.id}{suffix}")
        if len(artefact) > 1 and output is not None:
            path = path.with_suffix(suffix) if path.suffix in artefact else Path(f"{path}{suffix}")
        write_atomically(path, content)
        written.append(path)
        size = len(content)
        amount = f"{size / 1e6:.1f} MB" if size >= 1e5 else f"{size} B"
        say(f"written: {path} ({amount})")
    return tuple(written)
