"""Weights to begin with: random ones, or those of another training."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import torch
from torch import Tensor

from gnv2_nas.arch import Architecture
from gnv2_nas.nn import Network, load_weights, read_weights
from gnv2_nas.training.context import derive_seed, seed_torch

_CLASSIFIER = "classifier."
_STATISTICS = (".running_mean", ".running_var", ".num_batches_tracked")


def make_initial_network(
    arch: Architecture, dropout: float, seed: int, initial: Mapping[str, Tensor] | None
) -> tuple[Network, str]:
    """The module of `arch` to be trained, and what there is to say about its weights.

    Args:
        seed: of the random weights.
        initial: a state dict of the same network, or what holds one; a classifier of another
            number of classes is left out, and random weights take its place.

    Raises:
        CheckpointError: `initial` is of another network.
    """
    with seed_torch(derive_seed(seed, "weights")):
        network = Network(arch, dropout)
    if initial is None:
        return network, ""
    tensors = read_weights(initial, arch, any_classes=True)
    classes = len(tensors[f"{_CLASSIFIER}weight"])
    if classes == arch.num_classes:
        load_weights(network, tensors)
        return network, ""
    own = network.state_dict()
    load_weights(
        network,
        {key: own[key] if key.startswith(_CLASSIFIER) else tensors[key] for key in tensors},
    )
    return network, (
        f"the weights have {classes} classes and the data {arch.num_classes}: "
        "the classifier begins with random weights"
    )


def hash_weights(tensors: Mapping[str, Tensor]) -> str:
    """12 hexadecimal digits of names and values.

    Without batch norm's statistics: measured again, as for a network out of a supernet, they
    differ in their last bits on a GPU, and training replaces them anyway.
    """
    digest = hashlib.sha256()
    for name in sorted(tensors):
        if name.endswith(_STATISTICS):
            continue
        digest.update(name.encode())
        tensor = tensors[name].detach().cpu().contiguous()
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()[:12]
