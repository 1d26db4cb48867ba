"""What a training is asked for, and every check that needs no heavy import."""

from __future__ import annotations

import math
import re
from pathlib import Path

import msgspec

from gnv2_nas.arch import Architecture
from gnv2_nas.checkpoints.checkpoint import check_checkpoint
from gnv2_nas.checkpoints.metadata import read_supernet_record
from gnv2_nas.checkpoints.state_dicts import AVERAGE
from gnv2_nas.data import find_classes
from gnv2_nas.errors import CheckpointError, InputError, OutputError
from gnv2_nas.files.outputs import PAGE, Kind, check_outputs
from gnv2_nas.report.files import file_stem
from gnv2_nas.space import SearchSpace, load_space
from gnv2_nas.training.history import HISTORY, history_path, state_path
from gnv2_nas.workflows.references import find_network, is_weights

SUPERNET = "supernet"
"""The word that stands for a network where all networks of a space shall be trained."""

_DEVICE = re.compile(r"auto|cpu|mps|cuda(:\d+)?")
_WEIGHTS = Kind("the weights", lambda path: path.stat().st_size > 0)
_NOT_FOR_SUPERNETS = ("from_supernet", "weights", "resolution")


class TrainRequest(msgspec.Struct, frozen=True):
    """The options of a training as the user gave them."""

    network: str
    data: str
    output: Path | None = None
    space: str = ""
    from_supernet: Path | None = None
    weights: Path | None = None
    weights_from: str = AVERAGE
    epochs: float | None = None
    batch_size: int | None = None
    learning_rate: float | None = None
    resolution: int | None = None
    seed: int = 0
    device: str = "auto"
    storage: str = ""


class CheckedRequest(msgspec.Struct, frozen=True):
    """A request that has passed every cheap check."""

    request: TrainRequest
    subject: Architecture | SearchSpace
    """What is trained, with the classes of the data; a space stands for its supernet."""
    weights: Path | None
    """Checkpoint to begin with, of one network."""
    output: Path
    weights_note: str = ""
    """Which of the dicts in the checkpoint is read; "" where there is nothing to say."""

    @property
    def side(self) -> int:
        """Pixels that images are stored at: the largest that anything sees."""
        if isinstance(self.subject, SearchSpace):
            return max(self.subject.resolutions)
        return self.subject.resolution

    @property
    def page(self) -> Path:
        """Where the curve is drawn."""
        return self.output.with_suffix(".html")


def check_request(request: TrainRequest) -> CheckedRequest:
    """Read and check every option.

    Raises:
        InputError: one of them is wrong, or does not go with the others.
    """
    _check_options(request)
    _check_figures(request)
    classes = len(find_classes(request.data))
    subject = _subject(request, classes)
    weights = request.weights
    if weights is None and request.from_supernet is None and is_weights(request.network):
        weights = Path(request.network)
    note = ""
    if weights is None and request.weights_from != AVERAGE:
        raise InputError("--weights-from chooses within a checkpoint; give --weights too")
    if weights is not None and isinstance(subject, Architecture):
        note = check_checkpoint(weights, subject, request.weights_from, any_classes=True).note
    if request.from_supernet is not None and isinstance(subject, Architecture):
        _check_contains(request.from_supernet, subject)
    output = request.output or Path(f"{_stem(request.network)}.safetensors")
    _check_output(output, request.network, request.space, weights, request.from_supernet)
    return CheckedRequest(request, subject, weights, output, note)


def _check_options(request: TrainRequest) -> None:
    if request.network == SUPERNET:
        if not request.space:
            raise InputError("a supernet is one of a space: name it with --space, such as tiny")
        for name in _NOT_FOR_SUPERNETS:
            if getattr(request, name) is not None:
                option = name.replace("_", "-")
                raise InputError(f"--{option} is for one network, not for a supernet; leave it out")
        return
    if request.space:
        raise InputError(
            f"--space is for a supernet; leave it out, or write {SUPERNET!r} in place of "
            f"{request.network!r}"
        )
    if request.weights is not None and request.from_supernet is not None:
        raise InputError("--weights and --from-supernet both say where to begin; give one")
    if request.weights is not None and is_weights(request.network):
        raise InputError(f"{request.network!r} has weights of its own; leave --weights out")


def _check_figures(request: TrainRequest) -> None:
    for name, least in (("epochs", 0.0), ("learning_rate", 0.0), ("batch_size", 1)):
        value = getattr(request, name)
        if value is not None and not least < value < math.inf:
            rule = "batch_size >= 2" if name == "batch_size" else f"{name} > 0"
            raise InputError(f"--{name.replace('_', '-')}: `{rule}` must hold, but got {value}")
    if request.seed < 0:
        raise InputError(f"--seed: `seed >= 0` must hold, but got {request.seed}")
    if not _DEVICE.fullmatch(request.device):
        raise InputError(f"--device: auto, cpu, cuda, cuda:1 or mps, but got {request.device!r}")


def _subject(request: TrainRequest, classes: int) -> Architecture | SearchSpace:
    if request.network == SUPERNET:
        space = load_space(request.space).with_classes(classes)
        _ = space.supernet_spec  # which says what no supernet can hold
        return space
    arch = find_network(request.network, request.storage).replace(num_classes=classes)
    return arch if request.resolution is None else arch.replace(resolution=request.resolution)


def _check_contains(path: Path, arch: Architecture) -> None:
    """Prove that a supernet contains `arch`.

    Raises:
        CheckpointError: the file holds no supernet, or one without this network.
    """
    record = read_supernet_record(path)
    try:
        record.supernet_spec.find_positions(arch)
    except InputError as error:
        raise CheckpointError(
            f"{str(path)!r}, a supernet of space {record.space!r}, does not contain network "
            f"{arch.id}: {error}"
        ) from None


def _stem(network: str) -> str:
    """A file name for what is trained: "ghostnetv2-1.0", "demo-12", "pets-trained"."""
    if is_weights(network):
        return f"{Path(network).stem}-trained"
    if network.endswith(".json"):
        return Path(network).stem
    study, colon, trial = network.rpartition(":")
    if not colon:
        return network
    return f"{file_stem(study)}-{trial}"


def _check_output(output: Path, *inputs: Path | str | None) -> None:
    if output.suffix != ".safetensors":
        raise OutputError(f"--output {str(output)!r}: the name must end in .safetensors")
    page, curve = output.with_suffix(".html"), history_path(output)
    check_outputs({output: _WEIGHTS, page: PAGE, curve: HISTORY}, inputs)
    # Where a state is left the training was killed at its very end: the same command finishes it.
    if output.exists() and not state_path(output).exists():
        raise OutputError(
            f"{str(output)!r} is there already; choose another --output, or move it away to train "
            "anew"
        )
