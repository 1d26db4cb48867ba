"""`gn.train` and `gn.export`: what the commands of the same name do.

Arguments are checked when the function is called, with the texts of the command line.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from gnv2_nas.checkpoints.state_dicts import AVERAGE
from gnv2_nas.search.study import defaults
from gnv2_nas.workflows.events import Event, Events, ignore, print_events
from gnv2_nas.workflows.references import NetworkReference

if TYPE_CHECKING:
    from gnv2_nas.workflows.export import ExportResult
    from gnv2_nas.workflows.training import TrainingSummary

Request = TypeVar("Request", bound=msgspec.Struct)


def make_request(kind: type[Request], **values: Any) -> Request:
    """Return a request whose values have the types of its fields.

    Raises:
        TypeError: a value has another type.
    """
    converted = {}
    for field in msgspec.structs.fields(kind):
        if field.name not in values:
            continue
        value = values[field.name]
        try:
            converted[field.name] = msgspec.convert(value, field.type, dec_hook=_decode)
        except msgspec.ValidationError:
            expected = getattr(field.type, "__name__", None) or str(field.type)
            raise TypeError(
                f"{field.name}: expected {expected}, but got {type(value).__name__} {value!r}"
            ) from None
    return kind(**converted)


def _decode(kind: type, value: Any) -> Any:
    if kind is Path and isinstance(value, str | Path):
        return Path(value)
    raise msgspec.ValidationError


def as_text(value: str | Path) -> str:
    """Return a path as text, and any other value unchanged."""
    return str(value) if isinstance(value, Path) else value


def make_observer(progress: bool, events: Events | None) -> Events:
    """Return one observer that prints, calls `events`, or does both."""
    observers = [*([print_events()] if progress else []), *([events] if events else [])]
    if len(observers) < 2:
        return observers[0] if observers else ignore

    def notify(event: Event) -> None:
        for observer in observers:
            observer(event)

    return notify


def train(
    network: NetworkReference,
    data: str | Path,
    *,
    output: str | Path | None = None,
    space: str | Path = "",
    from_supernet: str | Path | None = None,
    weights: str | Path | None = None,
    weights_from: str = AVERAGE,
    epochs: float | None = None,
    batch_size: int | None = None,
    learning_rate: float | None = None,
    resolution: int | None = None,
    seed: int = defaults.SEED,
    device: str = "auto",
    storage: str = defaults.STORAGE,
    recipe: str = "v2",
    teacher: str | Path | None = None,
    progress: bool = False,
    events: Events | None = None,
) -> TrainingSummary:
    """Train a network, or the supernet of a space, on labelled images.

    Args:
        network: an architecture, a preset, a file, "STUDY:TRIAL", or "supernet".
        data: a folder with one folder of images for each class, or "digits".
        output: weight file to write (.safetensors); None names it after the network.
        space: search space to cover; only with "supernet".
        from_supernet: supernet to take the initial weights from.
        weights: checkpoint to take the initial weights from.
        weights_from: which weights of a checkpoint that holds several: "average", "raw", or the
            name of a state dict.
        epochs: None scales the number to the data set.
        batch_size: images per update; None chooses it.
        learning_rate: peak learning rate; None chooses it.
        resolution: height and width of the images; None is the network's own.
        seed: of initial weights, order of images and augmentation.
        device: "auto", "cpu", "cuda", "cuda:1" or "mps".
        storage: URL of the database that holds the study.
        recipe: "v2", or "v3" for the branches of GhostNetV3 during training.
        teacher: file of a network whose answers are learnt, too: weights or a supernet that
            `train` wrote, or an ONNX classifier.
        progress: whether to print messages and progress to standard error.
        events: called with every event of `gnv2_nas.workflows.events`.

    Raises:
        TypeError: an argument has a wrong type.
        InputError: an option is wrong or contradicts another.
        RunError: the training failed; its state is kept.
        KeyboardInterrupt: Ctrl-C; the state is kept, and the same call continues.
    """
    from gnv2_nas.workflows.training_request import TrainRequest

    checked = make_request(
        TrainRequest,
        network=network,
        data=as_text(data),
        output=output,
        space=as_text(space),
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
        recipe=recipe,
        teacher=teacher,
    ).check()
    from gnv2_nas.workflows.training import run_training

    return run_training(checked, make_observer(progress, events))


def export(
    network: NetworkReference,
    *,
    format: str = "",  # noqa: A002
    device: str = "",
    weights: str | Path | None = None,
    weights_from: str = AVERAGE,
    output: str | Path | None = None,
    precision: str = "fp32",
    calibration_images: str | Path | None = None,
    data: str | Path = "",
    storage: str = defaults.STORAGE,
    progress: bool = False,
    events: Events | None = None,
) -> ExportResult:
    """Write the file to deploy, checked against torch, and a model card beside it.

    Args:
        network: an architecture, a preset, a file, or "STUDY:TRIAL".
        format: "onnx", "openvino", "ncnn", "tflite", "pte", or "json" for the architecture
            (default: what the device reads, or "onnx").
        device: device profile that decides the form of the file (default: the device of the study
            that the network is a trial of, or the built-in form).
        weights: checkpoint; None is the network's own file, or random weights without one.
        weights_from: which weights of a checkpoint that holds several: "average", "raw", or the
            name of a state dict.
        output: file to write; None names it after the network.
        precision: "fp32", or "int8" for "onnx" and "openvino".
        calibration_images: for "int8": a folder of images, or an .npy array.
        data: for "int8": the images that the weights were trained on (default: the folder that the
            weights name).
        storage: URL of the database that holds the study.
        progress: whether to print messages to standard error.
        events: called with every event of `gnv2_nas.workflows.events`.

    Raises:
        TypeError: an argument has a wrong type.
        InputError: an option is wrong or contradicts another.
        RunError: the runtime refused the network, or the disk is full.
    """
    from gnv2_nas.workflows.export import ExportRequest, run_export

    checked = make_request(
        ExportRequest,
        network=network,
        format=format,
        device=device,
        weights=weights,
        weights_from=weights_from,
        output=output,
        precision=precision,
        calibration_images=calibration_images,
        data=as_text(data),
        storage=storage,
    ).check()
    return run_export(checked, make_observer(progress, events))
