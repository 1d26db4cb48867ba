"""Exporting a network: its file for a runtime, checked against torch, with a model card."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from gnv2_nas.arch import Architecture, Preprocessing
from gnv2_nas.checkpoints.contents import PREPROCESSING_KEY, STEPS_KEY, TRAINING_KEY
from gnv2_nas.checkpoints.state_dicts import AVERAGE
from gnv2_nas.errors import ArchitectureError, InputError, UnknownNameError
from gnv2_nas.files.file_sets import write_set
from gnv2_nas.files.outputs import Kind, check_outputs
from gnv2_nas.report.export_record import check_export
from gnv2_nas.runtimes.base import RUNTIMES as INFOS
from gnv2_nas.runtimes.base import Precision, RuntimeName, check_runtime
from gnv2_nas.search.study import defaults
from gnv2_nas.workflows.calibration_images import (
    find_training_images,
    read_calibration_images,
    read_training_images,
)
from gnv2_nas.workflows.events import Event, Events, Message, ignore, report_task
from gnv2_nas.workflows.references import (
    NetworkReference,
    find_network,
    find_weight_file,
    load_network,
    match_classes,
)
from gnv2_nas.workflows.tuning.export_form import ExportForm, choose_format, find_form

if TYPE_CHECKING:
    from gnv2_nas.checkpoints.metadata import TrainingRecord
    from gnv2_nas.runner.timing import RuntimeFiles
    from gnv2_nas.runtimes.base import Runtime

RUNTIMES: Mapping[str, RuntimeName] = {
    "onnx": "onnxruntime", "openvino": "openvino", "ncnn": "ncnn", "tflite": "litert",
    "pte": "executorch",
}  # fmt: skip
"""Format → the runtime that reads it."""
SUFFIXES = {
    "json": (".json",), "onnx": (".onnx",), "openvino": (".xml", ".bin"),
    "ncnn": (".param", ".bin"), "tflite": (".tflite",), "pte": (".pte",),
}  # fmt: skip
FORMATS = tuple(SUFFIXES)
PRECISIONS = ("fp32", "int8")
FORMATS_INT8 = tuple(
    name for name, runtime in RUNTIMES.items() if "int8" in INFOS[runtime].precisions["cpu"]
)
"""Formats that can be exported at int8."""


class ExportRequest(msgspec.Struct, frozen=True):
    """The options of `gnv2-nas export`."""

    network: NetworkReference
    format: str = ""
    """A key of `SUFFIXES`; "" takes that of the device's runtime, or ONNX without a device."""
    weights: Path | None = None
    weights_from: str = AVERAGE
    output: Path | None = None
    """File to write; None names it after the network."""
    precision: str = "fp32"
    calibration_images: Path | None = None
    data: str = ""
    """For int8: the images that the weights were trained on; "" takes the folder they name."""
    storage: str = defaults.STORAGE
    device: str = ""
    """Device profile that decides the form of the file; "" takes the device of the study that the
    network is a trial of."""

    def check(self) -> CheckedExport:
        """Check every option without importing torch or a runtime.

        Raises:
            InputError: an option is wrong or contradicts another.
        """
        if not self.format:
            format = choose_format("", self.device, RUNTIMES)  # noqa: A001
            return msgspec.structs.replace(self, format=format).check()
        if self.format not in FORMATS:
            raise UnknownNameError("format", self.format, FORMATS)
        if self.precision not in PRECISIONS:
            raise UnknownNameError("precision", self.precision, PRECISIONS)
        if self.precision == "int8" and self.format not in ("json", *FORMATS_INT8):
            raise InputError(
                f"--precision int8 is for --format {' and '.join(FORMATS_INT8)}, but got "
                f"{self.format!r}"
            )
        if self.format == "json" and self.weights is not None:
            raise InputError("--weights has no place in the JSON of an architecture; leave it out")
        choose_format(self.format, self.device, RUNTIMES)
        arch = find_network(self.network, self.storage)
        named = None if isinstance(self.network, Architecture) else self.network
        inputs = (named, self.weights, self.calibration_images)
        if self.format == "json":
            path = self.output or Path(f"{arch.id}.json")
            check_outputs({path: _ARCHITECTURE}, inputs)
            return CheckedExport(self, arch, None, {".json": path}, None)
        weights = self.weights or find_weight_file(self.network)
        if weights is None and self.weights_from != AVERAGE:
            raise InputError("--weights-from chooses within a checkpoint; give --weights too")
        messages: list[Event] = []
        if weights is not None:
            arch = match_classes(arch, weights, self.weights_from, messages.append)
        files, card = _choose_files(self, arch, inputs)
        calibrated = self.calibration_images is not None
        runtime = RUNTIMES[self.format]
        check_runtime(runtime, _get_precision(self), calibrated=calibrated)
        form = find_form(self.device, self.network, self.storage, runtime)
        data = self._find_data(weights)
        return CheckedExport(self, arch, weights, files, card, tuple(messages), form, data)

    def _find_data(self, weights: Path | None) -> str:
        """Return the images that an export at int8 is calibrated on; "" for others, or none."""
        if self.data and (self.precision != "int8" or self.calibration_images or weights is None):
            raise InputError(
                "--data names the images that weights were trained on, for --precision int8 "
                "without --calibration-images; leave it out"
            )
        if self.precision != "int8" or self.calibration_images or weights is None:
            return ""
        return find_training_images(weights, self.data)


class CheckedExport(msgspec.Struct, frozen=True):
    """An export that can start."""

    request: ExportRequest
    arch: Architecture
    """With the number of classes of the weights."""
    weights: Path | None
    files: Mapping[str, Path]
    """Suffix → file to write."""
    card: Path | None
    """The model card; None for the JSON of an architecture."""
    messages: tuple[Event, ...] = ()
    """What there is to report about the weights."""
    form: ExportForm = ExportForm()
    data: str = ""
    """Training images of the weights, which give the ranges of feature maps at int8."""


class ExportResult(msgspec.Struct, frozen=True):
    """The files of an export."""

    files: tuple[Path, ...]
    card: Path | None = None
    """The model card; None for the JSON of an architecture."""
    parity: float | None = None
    """Largest difference of the logits from torch's, relative to the largest logit."""


def run_export(checked: CheckedExport, events: Events = ignore) -> ExportResult:
    """Write the files and, beside them, a model card.

    Raises:
        MeasurementError: the runtime refuses the network, or computes something else than torch.
        CheckpointError: the weights cannot be loaded.
        StorageError: the disk is full; earlier files stay as they were.
    """
    arch, request, card = checked.arch, checked.request, checked.card
    if card is None:
        (path,) = checked.files.values()
        return _write({path: arch.to_json().encode()}, {}, events)
    for message in checked.messages:
        events(message)
    from gnv2_nas.checkpoints.checkpoint import read_preprocessing, read_training
    from gnv2_nas.report.export_record import ExportRecord
    from gnv2_nas.report.model_card import DeployedFiles, render_card
    from gnv2_nas.runtimes.parity import check_parity

    weights = checked.weights
    preprocessing = None if weights is None else read_preprocessing(weights)
    training = None if weights is None else read_training(weights)
    runtime = _make_runtime(checked, preprocessing, events).with_form(checked.form.form)
    model = None if weights is None else load_network(arch, weights, request.weights_from)
    with report_task(events, f"writing for {runtime.name}"):
        files = _add_metadata(runtime.write(arch, model), arch, preprocessing, training)
        parity = check_parity(arch, runtime.load(files, 1), runtime, model)
    contents = {checked.files[suffix]: content for suffix, content in files.items()}
    events(
        Message(
            f"checked in {runtime.version()}: logits differ from torch's by {parity:.1g} of the "
            "largest"
        )
    )
    form = checked.form
    events(Message(f"form of the file: {form.describe()}{form.note and f'; {form.note}'}"))
    deployed = DeployedFiles(
        tuple(contents),
        runtime.precision,
        runtime.version(),
        parity,
        channels_last=runtime.name == "litert",
        exported=ExportRecord.of(request.format, contents),
        form=form.describe(),
    )
    source = "" if weights is None else weights.name
    text = render_card(arch, deployed, source, preprocessing, training)
    result = _write(contents, {card: text}, events)
    events(Message(f"written: {card}, its model card"))
    if weights is None:
        events(Message("weights: random, for timing only; give --weights for a trained network"))
    if request.precision == "int8" and weights is None and request.calibration_images is None:
        events(Message("calibrated on noise, for timing only"))
    return msgspec.structs.replace(result, card=card, parity=parity)


def _choose_files(
    request: ExportRequest, arch: Architecture, inputs: Iterable[Path | str | None]
) -> tuple[Mapping[str, Path], Path]:
    """Return suffix → file, and the model card. A format of several files adds the suffixes."""
    suffixes, output = SUFFIXES[request.format], request.output
    name = output or Path(arch.id)
    if output is not None and len(suffixes) == 1:
        files = {suffixes[0]: output}
    else:
        has_suffix = output is not None and output.suffix in suffixes
        stem = name.with_suffix("") if has_suffix else name
        files = {suffix: Path(f"{stem}{suffix}") for suffix in suffixes}
    return files, check_export(name, request.format, list(files.values()), inputs)


def _get_precision(request: ExportRequest) -> Precision:
    return "int8" if request.precision == "int8" else "fp32"


def _is_architecture(path: Path) -> bool:
    try:
        Architecture.from_json(path.read_bytes())
    except ArchitectureError:
        return False
    return True


_ARCHITECTURE = Kind("the architecture", _is_architecture)


def _make_runtime(
    checked: CheckedExport, preprocessing: Preprocessing | None, events: Events
) -> Runtime:
    from gnv2_nas.runtimes.base import get_runtime

    request, resolution = checked.request, checked.arch.resolution
    name, precision = RUNTIMES[request.format], _get_precision(request)
    if request.calibration_images is not None:
        images = read_calibration_images(
            request.calibration_images, resolution, preprocessing, events
        )
        return get_runtime(name, precision, calibration_images=images)
    if checked.data and checked.weights is not None:
        images = read_training_images(checked.weights, checked.data, resolution, events)
        return get_runtime(name, precision, calibration_images=images)
    return get_runtime(name, precision)


def _add_metadata(
    files: RuntimeFiles,
    arch: Architecture,
    preprocessing: Preprocessing | None,
    training: TrainingRecord | None,
) -> RuntimeFiles:
    """Return an ONNX file with the facts of the model card as metadata; other files unchanged."""
    from gnv2_nas.formats.onnx.wire import append_metadata

    if training is not None:
        # A folder of the machine that trained is nobody's business in a file that ships.
        training = msgspec.structs.replace(training, source="")
    known = {PREPROCESSING_KEY: preprocessing, TRAINING_KEY: training}
    entries = {key: value.to_json() for key, value in known.items() if value is not None}
    if preprocessing is not None:
        entries[STEPS_KEY] = "\n".join(preprocessing.steps(arch.resolution))
    return {
        suffix: append_metadata(content, **entries) if suffix == ".onnx" else content
        for suffix, content in files.items()
    }


def _write(
    contents: Mapping[Path, bytes], beside: Mapping[Path, str], events: Events
) -> ExportResult:
    write_set({**contents, **beside})
    for path, content in contents.items():
        size = len(content)
        amount = f"{size / 1e6:.1f} MB" if size >= 1e5 else f"{size} B"
        events(Message(f"written: {path} ({amount})"))
    return ExportResult(tuple(contents))
