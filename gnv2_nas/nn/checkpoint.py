"""Weights from a file into a model and back; nothing but tensors is ever loaded."""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import torch as safetensors_torch
from torch import Tensor

from gnv2_nas.arch import Preprocessing
from gnv2_nas.errors import CheckpointError
from gnv2_nas.files import write_atomically
from gnv2_nas.graph import lower
from gnv2_nas.graph.checkpoint import architecture_of, check_checkpoint
from gnv2_nas.graph.checkpoint_contents import (
    ARCHITECTURE_KEY,
    PREPROCESSING_KEY,
    TRAINING_KEY,
    Contents,
    read_contents,
)
from gnv2_nas.graph.fit import check_tensors, tensor_infos
from gnv2_nas.graph.torch_contents import unwrapped
from gnv2_nas.graph.training_record import TrainingRecord
from gnv2_nas.graph.weights import centre_crop
from gnv2_nas.nn.network import Network

Source = str | os.PathLike[str] | Mapping[str, Any]


def load_weights(model: Network, source: Source) -> Network:
    """Put public or our own weights into `model`, in place; strict.

    Args:
        model: the network, of `build_model`.
        source: a checkpoint file (safetensors, or torch's, told apart by content) or a state
            dict. Wrapping in "state_dict" or "model", "module." before every key and other
            floating-point types are accepted; so are the kernels of the same network made for
            larger images, where this one's see only padding.

    Returns:
        The same model.

    Raises:
        CheckpointError: the file is missing, damaged or holds code; keys are missing or
            unexpected, shapes or types wrong (all are named), or values not finite. The model is
            then as it was.
    """
    if isinstance(source, Mapping):
        name, tensors = "the state dict", _unwrapped(source)
        check_tensors(lower(model.architecture), tensor_infos(tensors), name)
    else:
        path = Path(source)
        name = repr(str(path))
        tensors = _tensors(path, check_checkpoint(path, model.architecture))
        # The contents were read without torch; what torch read is checked by the same rule.
        check_tensors(lower(model.architecture), tensor_infos(tensors), name)
    model.load_state_dict(_fitted(model, tensors, name), strict=True)
    return model


def read_checkpoint(path: str | os.PathLike[str]) -> dict[str, Tensor]:
    """The state dict in a checkpoint file, unwrapped, on the CPU, as it was stored.

    Raises:
        CheckpointError: the file is missing, damaged or holds code.
    """
    file = Path(path)
    return _tensors(file, read_contents(file))


def save_weights(
    model: Network,
    path: str | os.PathLike[str],
    preprocessing: Preprocessing | None = None,
    training: TrainingRecord | None = None,
) -> None:
    """Write the weights as safetensors; as JSON in its metadata the architecture, how an image
    becomes its input and how the weights came about, where these are known.

    Raises:
        StorageError: the disk refused; an older file stays as it was.
    """
    metadata = {"format": "pt", ARCHITECTURE_KEY: model.architecture.to_json()}
    if preprocessing is not None:
        metadata[PREPROCESSING_KEY] = preprocessing.to_json()
    if training is not None:
        metadata[TRAINING_KEY] = training.to_json()
    write_atomically(Path(path), safetensors_torch.save(_stored(model), metadata))


def network_bytes(model: Network) -> bytes:
    """What `save_weights` writes, in memory and always the same bytes."""
    # safetensors writes several entries of metadata in an order drawn by lot.
    metadata = {ARCHITECTURE_KEY: model.architecture.to_json()}
    content: bytes = safetensors_torch.save(_stored(model), metadata)
    return content


def network_from_bytes(content: bytes) -> Network:
    """The network of a file that `network_bytes` or `save_weights` wrote, in evaluation mode.

    Raises:
        CheckpointError: it is no such file, or damaged.
    """
    source = "the file"
    arch = architecture_of(content, source)
    try:
        with torch.device("meta"):
            # No random weights are drawn that would be overwritten.
            model = Network(arch)
        model.load_state_dict(safetensors_torch.load(content), strict=True, assign=True)
    except Exception as error:
        raise CheckpointError(f"{source} cannot be read: {_first_line(error)}") from None
    return model.eval()


def _stored(model: Network) -> dict[str, Tensor]:
    return {key: value.detach().cpu().contiguous() for key, value in model.state_dict().items()}


def _unwrapped(source: Mapping[str, Any]) -> dict[str, Tensor]:
    try:
        return unwrapped(source)
    except CheckpointError as error:
        raise CheckpointError(f"the mapping {error}") from None


def _tensors(path: Path, contents: Contents) -> dict[str, Tensor]:
    try:
        if contents.format == "safetensors":
            return unwrapped(safetensors_torch.load_file(path))
        # A Namespace is a bag of values that training scripts like to add; it holds no code. An
        # open file, because torch would go by the ending of a name.
        with path.open("rb") as file, torch.serialization.safe_globals([argparse.Namespace]):
            return unwrapped(torch.load(file, map_location="cpu", weights_only=True))
    except Exception as error:
        # Whatever a reader makes of a damaged file, the answer is one line.
        raise CheckpointError(f"{str(path)!r} cannot be read: {_first_line(error)}") from None


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]


def _fitted(model: Network, tensors: Mapping[str, Tensor], name: str) -> dict[str, Tensor]:
    """`tensors` in the shapes and types of the model's own, all of them."""
    fitted = {}
    for key, own in model.state_dict().items():
        value = tensors.get(key, own).detach()
        if value.dim() == 4:
            value = centre_crop(value, tuple(own.shape))
        fitted[key] = value.to(own.dtype)
        if not torch.isfinite(fitted[key]).all():
            raise CheckpointError(f"{name}: {key} holds values that are not finite")
    return fitted
