"""A training as a request: every check that needs no heavy import."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Sequence
from pathlib import Path

import msgspec

from gnv2_nas.arch import Architecture
from gnv2_nas.checkpoints.checkpoint import check_checkpoint, read_architecture, read_training
from gnv2_nas.checkpoints.metadata import read_supernet_record
from gnv2_nas.checkpoints.state_dicts import AVERAGE
from gnv2_nas.data import find_classes
from gnv2_nas.errors import CheckpointError, InputError, OutputError
from gnv2_nas.files.outputs import PAGE, Kind, check_outputs
from gnv2_nas.files.writing import check_writable
from gnv2_nas.report.files import file_stem
from gnv2_nas.search.engine.cluster import check_workers, needs_ray
from gnv2_nas.search.study import defaults
from gnv2_nas.space import SearchSpace, load_space
from gnv2_nas.training.history import HISTORY, history_path, state_path
from gnv2_nas.training.recipe import RECIPES, check_branches
from gnv2_nas.workflows.references import NetworkReference, find_network, find_weight_file
from gnv2_nas.workflows.teachers import check_teacher

SUPERNET = "supernet"
"""The word that stands for the supernet of a space in place of a network."""

_DEVICE = re.compile(r"auto|cpu|mps|cuda(:\d+)?")
_WEIGHTS = Kind("the weights", lambda path: path.stat().st_size > 0)
_NOT_FOR_SUPERNETS = ("from_supernet", "weights", "resolution", "teacher")


class TrainRequest(msgspec.Struct, frozen=True):
    """The options of `gnv2-nas train`."""

    network: NetworkReference
    data: str
    output: Path | None = None
    """Weight file to write; None names it after the network."""
    space: str = ""
    from_supernet: Path | None = None
    weights: Path | None = None
    weights_from: str = AVERAGE
    epochs: float | None = None
    batch_size: int | None = None
    learning_rate: float | None = None
    resolution: int | None = None
    seed: int = defaults.SEED
    device: str = "auto"
    storage: str = defaults.STORAGE
    recipe: str = RECIPES[0]
    teacher: Path | None = None
    """File of the network whose answers are learnt, see `workflows.teachers`."""

    def check(self) -> CheckedTraining:
        """Check every option without importing torch.

        Raises:
            InputError: an option is wrong or contradicts another.
        """
        _check_combinations(self)
        _check_numbers(self)
        classes = find_classes(self.data)
        subject = _find_subject(self, len(classes))
        if self.recipe == "v3" and isinstance(subject, Architecture):
            check_branches(subject)
        weights = self.weights
        if weights is None and self.from_supernet is None:
            weights = find_weight_file(self.network)
        note = ""
        if weights is None and self.weights_from != AVERAGE:
            raise InputError("--weights-from chooses within a checkpoint; give --weights too")
        if weights is not None and isinstance(subject, Architecture):
            note = check_checkpoint(weights, subject, self.weights_from, any_classes=True).note
        if self.from_supernet is not None and isinstance(subject, Architecture):
            _check_contains(self.from_supernet, subject)
        if self.teacher is not None and isinstance(subject, Architecture):
            check_teacher(self.teacher, classes, subject.resolution)
        output = self.output or Path(f"{_choose_file_stem(self.network)}.safetensors")
        named = None if isinstance(self.network, Architecture) else self.network
        _check_output(output, named, self.space, weights, self.from_supernet, self.teacher)
        return CheckedTraining(self, subject, weights, output, note)


class CheckedTraining(msgspec.Struct, frozen=True):
    """A training that can start."""

    request: TrainRequest
    subject: Architecture | SearchSpace
    """What is trained, with the classes of the data; a space stands for its supernet."""
    weights: Path | None
    """Checkpoint of one network to start from."""
    output: Path
    weights_note: str = ""
    """Which of several state dicts in the checkpoint is used; "" if it has only one."""
    finished: bool = False
    """Whether an earlier run has trained it."""

    @property
    def resolution(self) -> int:
        """Pixels at which images are stored: the largest resolution that a network reads."""
        if isinstance(self.subject, SearchSpace):
            return max(self.subject.resolutions)
        return self.subject.resolution

    @property
    def page(self) -> Path:
        """The page with the training curve."""
        return self.output.with_suffix(".html")


def check_trainings(
    networks: Sequence[NetworkReference], request: TrainRequest, workers: int = 1, ray: str = ""
) -> list[CheckedTraining]:
    """Check every option of trainings that differ in their network alone.

    Args:
        request: the options. If there are several networks, its `output` is a folder, which gets a
            file named after each; None is the working folder.

    Raises:
        InputError: an option is wrong or contradicts another.
    """
    check_workers(workers, ray)
    several = len(networks) > 1
    if (several or needs_ray(workers, ray)) and "RANK" in os.environ:
        raise InputError("torchrun trains one network; leave out the others, --workers and --ray")
    if not several:
        return [request.check()]
    if SUPERNET in networks:
        raise InputError("a supernet is trained alone; leave the other networks out")
    folder = request.output or Path()
    if folder.suffix == ".safetensors":
        raise OutputError(f"--output {str(folder)!r}: several networks need a folder")
    check_writable(folder)
    named = {folder / f"{_choose_file_stem(each)}.safetensors": each for each in networks}
    if len(named) < len(networks):
        raise InputError("two of the networks have the same name; train each of them once")
    return [
        _check_unless_finished(
            msgspec.structs.replace(request, network=network, output=output), output
        )
        for output, network in named.items()
    ]


def _check_unless_finished(request: TrainRequest, output: Path) -> CheckedTraining:
    """Check a training, unless there are weights of this network, trained on these images."""
    if output.exists() and not state_path(output).exists():
        subject = _find_subject(request, len(find_classes(request.data)))
        training, data = read_training(output), Path(request.data).resolve().name
        known = training is not None and (training.seed, training.data) == (request.seed, data)
        if known and read_architecture(output) == subject:
            return CheckedTraining(request, subject, None, output, finished=True)
    return request.check()


def _check_combinations(request: TrainRequest) -> None:
    if request.recipe not in RECIPES:
        raise InputError(f"--recipe must be {' or '.join(RECIPES)}, but got {request.recipe!r}")
    if request.network == SUPERNET:
        if request.recipe == "v3":
            raise InputError("--recipe v3 is for one network, not for a supernet; leave it out")
        if not request.space:
            raise InputError("a supernet covers a space: name it with --space, such as tiny")
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
        raise InputError("--weights and --from-supernet both give initial weights; give one")
    if request.weights is not None and find_weight_file(request.network):
        raise InputError(f"{request.network!r} has weights of its own; leave --weights out")


def _check_numbers(request: TrainRequest) -> None:
    for name, bound in (("epochs", 0.0), ("learning_rate", 0.0), ("batch_size", 1)):
        value = getattr(request, name)
        if value is not None and not bound < value < math.inf:
            rule = "batch_size >= 2" if name == "batch_size" else f"{name} > 0"
            raise InputError(f"--{name.replace('_', '-')}: `{rule}` must hold, but got {value}")
    if request.seed < 0:
        raise InputError(f"--seed: `seed >= 0` must hold, but got {request.seed}")
    if not _DEVICE.fullmatch(request.device):
        raise InputError(
            f"--device must be auto, cpu, cuda, cuda:1 or mps, but got {request.device!r}"
        )


def _find_subject(request: TrainRequest, classes: int) -> Architecture | SearchSpace:
    if request.network == SUPERNET:
        space = load_space(request.space).with_classes(classes)
        _ = space.supernet_spec  # raises an error that names what a supernet cannot contain
        return space
    arch = find_network(request.network, request.storage).replace(num_classes=classes)
    return arch if request.resolution is None else arch.replace(resolution=request.resolution)


def _check_contains(path: Path, arch: Architecture) -> None:
    """Check that the supernet in a file contains `arch`.

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


def _choose_file_stem(network: NetworkReference) -> str:
    """Return a file name for the weights: "ghostnetv2-1.0", "demo-12", "pets-trained"."""
    if isinstance(network, Architecture):
        return network.id
    if file := find_weight_file(network):
        return f"{file.stem}-trained"
    if network.endswith(".json"):
        return Path(network).stem
    study, colon, trial = network.rpartition(":")
    return f"{file_stem(study)}-{trial}" if colon else network


def _check_output(output: Path, *inputs: Path | str | None) -> None:
    if output.suffix != ".safetensors":
        raise OutputError(f"--output {str(output)!r}: the name must end in .safetensors")
    page, curve = output.with_suffix(".html"), history_path(output)
    check_outputs({output: _WEIGHTS, page: PAGE, curve: HISTORY}, inputs)
    # Weights beside a state: the training was killed after its last step, and can be finished.
    if output.exists() and not state_path(output).exists():
        raise OutputError(
            f"{str(output)!r} exists already; choose another --output, or move it away to train "
            "again"
        )
