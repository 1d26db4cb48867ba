"""`--teacher`: the kinds of files whose answers a network can learn from.

A file of `gnv2-nas train` with one network, a supernet, which stands for its largest network, or
an ONNX classifier of another tool.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from gnv2_nas.arch import Architecture, Preprocessing
from gnv2_nas.checkpoints.checkpoint import read_architecture, read_preprocessing
from gnv2_nas.checkpoints.contents import read_contents
from gnv2_nas.checkpoints.metadata import SupernetRecord, read_supernet_record
from gnv2_nas.errors import InputError
from gnv2_nas.space import load_space

if TYPE_CHECKING:
    from gnv2_nas.data import Dataset
    from gnv2_nas.training.teacher import Teacher


def check_teacher(path: Path, classes: Sequence[str], resolution: int) -> None:
    """Check before any image is read that a file can teach a network.

    Raises:
        CheckpointError: the file is missing or damaged, or its space has changed.
        InputError: it has other classes, or another input size than the pupil.
    """
    if _is_onnx(path):
        from gnv2_nas.runtimes.classifier import OnnxClassifier

        classifier = OnnxClassifier(path, resolution, len(classes))
        if classifier.preprocessing is not None:
            _check_classes(path, classifier.preprocessing, classes)
    elif read_contents(path).supernet:
        record = read_supernet_record(path)
        _check_classes(path, record.preprocessing, classes)
        if resolution not in record.supernet_spec.resolutions:
            sizes = ", ".join(map(str, record.supernet_spec.resolutions))
            raise InputError(
                f"teacher {str(path)!r}, a supernet, reads images of {sizes} px and the network of "
                f"{resolution} px; choose one of these with --resolution"
            )
        _find_largest(path, record, resolution)
    else:
        arch, preprocessing = read_architecture(path), read_preprocessing(path)
        _check_classes(path, preprocessing, classes)
        if arch.resolution != resolution:
            raise InputError(
                f"teacher {str(path)!r} reads images of {arch.resolution} px and the network of "
                f"{resolution} px; name a teacher of {resolution} px"
            )


def read_teacher(path: Path, dataset: Dataset, resolution: int) -> Teacher:
    """Read a file that `check_teacher` accepts.

    An ONNX file of another tool gets images that are normalised as those of its pupil.

    Raises:
        CheckpointError, InputError: see `check_teacher`.
    """
    from gnv2_nas.nn import build_model, load_weights
    from gnv2_nas.training.task import hash_weights
    from gnv2_nas.training.teacher import Teacher

    check_teacher(path, dataset.classes, resolution)
    if _is_onnx(path):
        from gnv2_nas.runtimes.classifier import OnnxClassifier

        classifier = OnnxClassifier(path, resolution, len(dataset.classes))
        preprocessing = classifier.preprocessing or dataset.preprocessing
        return Teacher(path.name, classifier, preprocessing, classifier.fingerprint)
    if read_contents(path).supernet:
        from gnv2_nas.quality import QualityContext
        from gnv2_nas.quality.accuracy.supernet import SupernetAccuracy

        supernet = SupernetAccuracy(path, QualityContext(dataset=dataset))
        network = supernet.extract(_find_largest(path, supernet.record, resolution))
        preprocessing = supernet.record.preprocessing
    else:
        network = load_weights(build_model(read_architecture(path)), path).eval()
        preprocessing = read_preprocessing(path) or dataset.preprocessing
    network.requires_grad_(requires_grad=False)
    return Teacher(path.name, network, preprocessing, hash_weights(network.state_dict()))


def measure_teacher(teacher: Teacher, dataset: Dataset, resolution: int) -> float:
    """Top-1 accuracy on the held-out images, 0..1."""
    from gnv2_nas.training.task import measure_accuracy

    own = dataset.preprocessing
    return measure_accuracy(
        lambda images: teacher.answer(images, own), dataset.val, resolution, own
    )


def _is_onnx(path: Path) -> bool:
    return path.suffix.lower() == ".onnx"


def _check_classes(path: Path, known: Preprocessing | None, classes: Sequence[str]) -> None:
    if known is None:
        raise InputError(
            f"teacher {str(path)!r} names no classes; name a file that gnv2-nas train wrote"
        )
    if known.classes != tuple(classes):
        raise InputError(
            f"teacher {str(path)!r} answers with {len(known.classes)} classes that are not the "
            f"{len(classes)} of the images; train it on the same classes"
        )


def _find_largest(path: Path, record: SupernetRecord, resolution: int) -> Architecture:
    """Return the largest network of a supernet at a resolution.

    Raises:
        InputError: there is no space of its name here, or it has changed since.
    """
    try:
        space = load_space(record.space).with_classes(record.supernet_spec.num_classes)
    except InputError as error:
        raise InputError(f"teacher {str(path)!r}: {error}") from None
    if space.content_hash != record.space_hash:
        raise InputError(
            f"teacher {str(path)!r} is a supernet of space {record.space!r} as it was "
            f"({record.space_hash}), not as it is ({space.content_hash}); train the supernet again"
        )
    return space.decode(space.at_resolution(space.largest(), resolution))
