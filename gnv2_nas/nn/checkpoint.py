"""Weights from a file into a model and back. Only tensors are loaded, never code."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors import torch as safetensors_torch
from torch import Tensor

from gnv2_nas.arch import Architecture, Preprocessing
from gnv2_nas.checkpoints.checkpoint import (
    check_checkpoint,
    find_weights,
    parse_architecture,
    read_architecture,
)
from gnv2_nas.checkpoints.contents import (
    ARCHITECTURE_KEY,
    PREPROCESSING_KEY,
    STEPS_KEY,
    TRAINING_KEY,
    TorchFile,
    is_safetensors,
)
from gnv2_nas.checkpoints.metadata import TrainingRecord
from gnv2_nas.checkpoints.state_dicts import AVERAGE
from gnv2_nas.errors import CheckpointError, first_line
from gnv2_nas.files.file_sets import write_set
from gnv2_nas.graph.compatibility import TensorInfo
from gnv2_nas.graph.weights import centre_crop
from gnv2_nas.nn.network import Network

Source = str | os.PathLike[str] | Mapping[str, Any]


def load_weights(model: Network, source: Source, weights_from: str = AVERAGE) -> Network:
    """Load weights into `model` in place. All keys must match.

    Args:
        model: a module that `build_model` returned.
        source: a checkpoint file (safetensors or torch, recognised by content) or a state dict.
            The state dict may be nested in another dict, and its keys may have a prefix. Any
            floating-point type is accepted. So are larger kernels of the same network for larger
            images, if the additional taps would read only padding.
        weights_from: "average" or "raw" if `source` has both, or the name of one of its dicts.

    Returns:
        The same model.

    Raises:
        CheckpointError: the file is missing, damaged or contains code; keys are missing or
            unexpected; shapes or types are wrong; or values are not finite. The message lists all
            differences, and the model is unchanged.
    """
    name = "the state dict" if isinstance(source, Mapping) else repr(str(Path(source)))
    tensors = read_weights(source, model.architecture, weights_from)
    model.load_state_dict(_match(model, tensors, name), strict=True)
    return model


def read_weights(
    source: Source, arch: Architecture, weights_from: str = AVERAGE, *, any_classes: bool = False
) -> dict[str, Tensor]:
    """The state dict of `arch` from a checkpoint file or a loaded dict, with the stored types.

    Args:
        source, weights_from: see `load_weights`.
        arch: the network.
        any_classes: whether the weights may have another number of classes than `arch`.

    Raises:
        CheckpointError: see `load_weights`.
    """
    if isinstance(source, Mapping):
        found = find_weights(source, arch, "the state dict", weights_from, any_classes=any_classes)
        return dict(found.tensors)
    path = Path(source)
    found = check_checkpoint(path, arch, weights_from, any_classes=any_classes)
    try:
        return _read_values(path, found.tensors)
    except Exception as error:
        # Readers raise errors of many types on damaged files.
        raise CheckpointError(f"{str(path)!r} cannot be read: {first_line(error)}") from None


def read_checkpoint(path: str | os.PathLike[str]) -> dict[str, Tensor]:
    """The state dict in a file that `save_weights` wrote.

    Raises:
        CheckpointError: the file is missing, damaged, contains code or does not name its network.
    """
    return read_weights(path, read_architecture(Path(path)))


def save_weights(
    model: Network,
    path: str | os.PathLike[str],
    preprocessing: Preprocessing | None = None,
    training: TrainingRecord | None = None,
    *,
    beside: Mapping[Path, bytes | str] | None = None,
) -> None:
    """Write the weights as safetensors with the architecture in the metadata.

    Args:
        model: the network.
        path: the file.
        preprocessing: goes into the metadata, too.
        training: goes into the metadata, too.
        beside: further files of the same folder, replaced together with the weights.

    Raises:
        StorageError: a file cannot be written; older files stay unchanged.
    """
    metadata = {"format": "pt", ARCHITECTURE_KEY: model.architecture.to_json()}
    if preprocessing is not None:
        metadata[PREPROCESSING_KEY] = preprocessing.to_json()
        metadata[STEPS_KEY] = "\n".join(preprocessing.steps(model.architecture.resolution))
    if training is not None:
        metadata[TRAINING_KEY] = training.to_json()
    write_set({Path(path): safetensors_torch.save(_cpu_tensors(model), metadata), **(beside or {})})


def network_bytes(model: Network) -> bytes:
    """The weights and the architecture as a safetensors file in memory. Equal models give equal
    bytes."""
    # safetensors writes several metadata entries in random order, so there is only one.
    metadata = {ARCHITECTURE_KEY: model.architecture.to_json()}
    content: bytes = safetensors_torch.save(_cpu_tensors(model), metadata)
    return content


def network_from_bytes(content: bytes) -> Network:
    """The network in a file that `network_bytes` or `save_weights` wrote, in evaluation mode.

    Raises:
        CheckpointError: the file is of another kind or damaged.
    """
    source = "the file"
    arch = parse_architecture(content, source)
    try:
        with torch.device("meta"):
            # On the meta device no initial weights are drawn.
            model = Network(arch)
        model.load_state_dict(safetensors_torch.load(content), strict=True, assign=True)
    except Exception as error:
        raise CheckpointError(f"{source} cannot be read: {first_line(error)}") from None
    return model.eval()


def _cpu_tensors(model: Network) -> dict[str, Tensor]:
    return {key: value.detach().cpu().contiguous() for key, value in model.state_dict().items()}


def _read_values(path: Path, infos: Mapping[str, TensorInfo]) -> dict[str, Tensor]:
    """The values of the tensors, read as numbers without unpickling."""
    storages = {key: info.storage for key, info in infos.items() if info.storage is not None}
    with path.open("rb") as file:
        if is_safetensors(file.read(9)):
            with safe_open(path, "pt") as tensors:
                return {key: tensors.get_tensor(storage.key) for key, storage in storages.items()}
        file.seek(0)
        values = TorchFile(file, path.stat().st_size).values(storages.values())
    buffers = {key: bytearray(content) for key, content in values.items()}
    return {key: _tensor(info, buffers) for key, info in infos.items()}


def _tensor(info: TensorInfo, buffers: Mapping[str, bytearray]) -> Tensor:
    dtype = getattr(torch, info.dtype)
    if info.storage is None or 0 in info.shape:
        return torch.zeros(info.shape, dtype=dtype)
    flat = torch.frombuffer(buffers[info.storage.key], dtype=dtype, count=info.storage.count)
    return flat.as_strided(info.shape, info.stride, info.offset)


def _match(model: Network, tensors: Mapping[str, Tensor], name: str) -> dict[str, Tensor]:
    """A complete state dict of `model` with these values, in the shapes and types of the model."""
    matched = {}
    for key, own in model.state_dict().items():
        value = tensors.get(key, own).detach()
        if value.dim() == 4:
            value = centre_crop(value, tuple(own.shape))
        matched[key] = value.to(own.dtype)
        if not torch.isfinite(matched[key]).all():
            raise CheckpointError(f"{name}: {key} holds values that are not finite")
    return matched
