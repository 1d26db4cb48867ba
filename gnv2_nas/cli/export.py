"""`gnv2-nas export`"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from gnv2_nas.checkpoints.state_dicts import AVERAGE
from gnv2_nas.cli import any_case
from gnv2_nas.cli.console import say
from gnv2_nas.cli.live import LiveLine
from gnv2_nas.cli.options import Storage
from gnv2_nas.cli.weights import WeightsFrom, weighed
from gnv2_nas.errors import InputError, UnknownNameError
from gnv2_nas.files.file_sets import write_set
from gnv2_nas.files.outputs import Kind, check_outputs
from gnv2_nas.search.study import defaults

if TYPE_CHECKING:
    from gnv2_nas.arch import Architecture, Preprocessing
    from gnv2_nas.checkpoints.metadata import TrainingRecord
    from gnv2_nas.nn import Network
    from gnv2_nas.runtimes.base import CalibrationImages, Precision, Runtime, RuntimeFiles

RUNTIME_OF = {
    "onnx": "onnxruntime", "openvino": "openvino", "ncnn": "ncnn", "tflite": "litert",
    "pte": "executorch",
}  # fmt: skip
SUFFIXES = {
    "json": (".json",), "onnx": (".onnx",), "openvino": (".xml", ".bin"),
    "ncnn": (".param", ".bin"), "tflite": (".tflite",), "pte": (".pte",),
}  # fmt: skip
FORMATS = tuple(SUFFIXES)
PRECISIONS = ("fp32", "int8")


def export(
    network: Annotated[
        str,
        typer.Argument(
            help="A preset, an architecture JSON file, STUDY:TRIAL, or a .safetensors file that "
            "says which network it is of.",
            callback=any_case.network,
        ),
    ],
    format: Annotated[  # noqa: A002
        str,
        typer.Option(
            help="onnx; openvino (.xml and .bin), ncnn (.param and .bin), tflite, "
            "pte (ExecuTorch); or json for the architecture.",
            callback=any_case.any_case(lambda: FORMATS),
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
        Path | None,
        typer.Option(
            help="File to write; by default the network's id. Only an earlier export of the same "
            "format is overwritten."
        ),
    ] = None,
    precision: Annotated[
        str,
        typer.Option(
            help="fp32, or int8 for onnx and openvino.",
            callback=any_case.any_case(lambda: PRECISIONS),
        ),
    ] = "fp32",
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
    from gnv2_nas.workflows.references import find_network, is_weights

    arch = find_network(network, storage)
    inputs = (network, weights, calibration_images)
    if format == "json":
        path = output or Path(f"{arch.id}.json")
        check_outputs({path: _ARCHITECTURE}, inputs)
        return _write({path: arch.to_json().encode()})
    if weights is None and is_weights(network):
        weights = Path(network)
    if weights is None and weights_from != AVERAGE:
        raise InputError("--weights-from chooses within a checkpoint; give --weights too")
    if weights is not None:
        arch = weighed(arch, weights, weights_from)
    place = _checked_place(format, arch, output, inputs)
    images = _images(calibration_images, precision, arch, weights)
    _export(arch, weights, weights_from, place, _runtime(format, precision, images))
    if precision == "int8" and calibration_images is None:
        say("calibrated on noise, which is enough for timing; give --calibration-images for use")
    return None


class _Place(NamedTuple):
    """Where an export goes."""

    format: str
    files: Mapping[str, Path]
    """Suffix → file."""
    card: Path


def _checked_place(
    format: str,  # noqa: A002
    arch: Architecture,
    output: Path | None,
    inputs: Iterable[Path | str | None],
) -> _Place:
    """One file under the name asked for; of several each with its own suffix."""
    from gnv2_nas.report.model_card.exported import check_export

    suffixes, name = SUFFIXES[format], output or Path(arch.id)
    if output is not None and len(suffixes) == 1:
        files = {suffixes[0]: output}
    else:
        known = output is not None and output.suffix in suffixes
        stem = name.with_suffix("") if known else name
        files = {suffix: Path(f"{stem}{suffix}") for suffix in suffixes}
    return _Place(format, files, check_export(name, format, list(files.values()), inputs))


def _is_architecture(path: Path) -> bool:
    from gnv2_nas.arch import Architecture
    from gnv2_nas.errors import ArchitectureError

    try:
        Architecture.from_json(path.read_bytes())
    except ArchitectureError:
        return False
    return True


_ARCHITECTURE = Kind("the architecture", _is_architecture)


def _export(
    arch: Architecture,
    weights: Path | None,
    weights_from: str,
    place: _Place,
    runtime: Runtime,
) -> None:
    from gnv2_nas.checkpoints.checkpoint import read_preprocessing, read_training
    from gnv2_nas.report.model_card.card import Deployed, model_card
    from gnv2_nas.report.model_card.exported import Exported
    from gnv2_nas.runtimes.parity import check_parity

    model = None if weights is None else _trained(arch, weights, weights_from)
    preprocessing = None if weights is None else read_preprocessing(weights)
    training = None if weights is None else read_training(weights)
    with LiveLine(f"writing for {runtime.name}"):
        artefact = _with_metadata(runtime.write(arch, model), arch, preprocessing, training)
        apart = check_parity(arch, runtime.load(artefact, 1), runtime, model)
    contents = {place.files[suffix]: content for suffix, content in artefact.items()}
    say(f"checked in {runtime.version()}: logits differ from torch's by {apart:.1g} of the largest")
    deployed = Deployed(
        tuple(contents),
        runtime.precision,
        runtime.version(),
        apart,
        channels_last=runtime.name == "litert",
        exported=Exported.of(place.format, contents),
    )
    source = "" if weights is None else weights.name
    _write(contents, {place.card: model_card(arch, deployed, source, preprocessing, training)})
    say(f"written: {place.card}, its model card")
    if weights is None:
        say("weights: random, made for timing; give --weights for a network that was trained")


def _with_metadata(
    artefact: RuntimeFiles,
    arch: Architecture,
    preprocessing: Preprocessing | None,
    training: TrainingRecord | None,
) -> RuntimeFiles:
    """An ONNX file that says what the card says; other files as they are."""
    from gnv2_nas.checkpoints.contents import PREPROCESSING_KEY, STEPS_KEY, TRAINING_KEY
    from gnv2_nas.formats.onnx.wire import append_metadata

    known = {PREPROCESSING_KEY: preprocessing, TRAINING_KEY: training}
    entries = {key: value.to_json() for key, value in known.items() if value is not None}
    if preprocessing is not None:
        entries[STEPS_KEY] = "\n".join(preprocessing.steps(arch.resolution))
    return {
        suffix: append_metadata(content, **entries) if suffix == ".onnx" else content
        for suffix, content in artefact.items()
    }


def _runtime(
    format: str,  # noqa: A002
    precision: str,
    images: CalibrationImages,
) -> Runtime:
    from gnv2_nas.runtimes.base import get_runtime

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
    from gnv2_nas.checkpoints.checkpoint import read_preprocessing
    from gnv2_nas.cli.calibration_images import calibration_images

    preprocessing = None if weights is None else read_preprocessing(weights)
    return calibration_images(source, arch.resolution, preprocessing)


def _write(contents: Mapping[Path, bytes], beside: Mapping[Path, str] | None = None) -> None:
    """Write files that belong together, and say so."""
    write_set({**contents, **(beside or {})})
    for path, content in contents.items():
        size = len(content)
        amount = f"{size / 1e6:.1f} MB" if size >= 1e5 else f"{size} B"
        say(f"written: {path} ({amount})")
