"""`timing_model`: a module with weights made for timing, in a fraction of the usual time."""

from __future__ import annotations

from itertools import chain

import torch

from gnv2_nas.arch import Architecture
from gnv2_nas.graph.lower import lower
from gnv2_nas.graph.weights import BATCH_NORM_EPSILON, TimingWeights
from gnv2_nas.nn.layers import uninitialised
from gnv2_nas.nn.network import Network, build_model


def timing_model(arch: Architecture) -> Network:
    """The module of `arch` in evaluation mode, with the weights that `onnx_bytes(arch)` and the
    other writers put into their files: always the same, and no value is denormal or infinite.

    Leaves torch's random numbers as they were.
    """
    with uninitialised():
        model = build_model(arch)
    tensors = _tensors(arch)
    # Assigned, not copied by `load_state_dict`: the keys are known to agree.
    for name, tensor in chain(model.named_parameters(), model.named_buffers()):
        if name in tensors:
            tensor.data = tensors[name]
    return model.eval()


def _tensors(arch: Architecture) -> dict[str, torch.Tensor]:
    tensors: dict[str, torch.Tensor] = {}
    weights = TimingWeights()
    for op in lower(arch).ops:
        if not op.weight:
            continue
        kernel, bias = (torch.from_numpy(array) for array in weights.folded(op))
        tensors[f"{op.weight}.weight"] = kernel
        if op.bias:
            tensors[f"{op.weight}.bias"] = bias
        if op.norm:
            ones = torch.ones_like(bias)
            # Folds into exactly the weights it was made from.
            tensors[f"{op.norm}.weight"] = ones
            tensors[f"{op.norm}.bias"] = bias
            tensors[f"{op.norm}.running_mean"] = torch.zeros_like(bias)
            tensors[f"{op.norm}.running_var"] = ones - BATCH_NORM_EPSILON
    return tensors
