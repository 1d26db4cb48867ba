"""Where the weights of a graph come from, with batch norm folded in."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cache
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from gnv2_nas.arch import Architecture
from gnv2_nas.graph.compatibility import check_architecture, check_tensors, tensor_infos
from gnv2_nas.graph.lower import lower
from gnv2_nas.graph.op import Op

BATCH_NORM_EPSILON = 1e-5

Array = NDArray[np.float32]
_Kernel = TypeVar("_Kernel", bound=Any)


class Weights(Protocol):
    """The weights of every convolution and linear layer of a graph."""

    def fold(self, op: Op) -> tuple[Array, Array]:
        """Kernel (out_channels, in_channels / groups, kernel_h, kernel_w) and bias
        (out_channels,) with batch norm folded in, both float32."""
        ...


def centre_crop(kernel: _Kernel, shape: tuple[int, ...]) -> _Kernel:
    """The central taps of a (channels, 1, height, width) kernel, to the last two of `shape`."""
    height, width = shape[-2:]
    top, left = (kernel.shape[-2] - height) // 2, (kernel.shape[-1] - width) // 2
    cropped: _Kernel = kernel[..., top : top + height, left : left + width]
    return cropped


class TrainedWeights:
    """The weights in a torch state dict; batch norm is folded in float64."""

    def __init__(self, state_dict: Mapping[str, Any]) -> None:
        self._state_dict = state_dict

    def fold(self, op: Op) -> tuple[Array, Array]:
        kernel = self._array(f"{op.weight}.weight")
        if op.kind == "conv":
            kernel = centre_crop(kernel, op.kernel)
        bias = self._array(f"{op.weight}.bias") if op.bias else np.zeros(op.shape[0])
        if op.norm:
            scale, shift = self._read_norm(op.norm)
            bias = shift + bias * scale
            kernel = kernel * scale.reshape(-1, 1, 1, 1)
        if op.branch:  # a batch norm of the input is a kernel whose centre alone is not 0
            scale, shift = self._read_norm(op.branch)
            bias = bias + shift
            kernel = kernel.copy()
            kernel[:, 0, op.kernel[0] // 2, op.kernel[1] // 2] += scale
        return kernel.astype(np.float32), bias.astype(np.float32)

    def _read_norm(self, norm: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Factor and summand of each channel that a batch norm stands for."""
        variance = self._array(f"{norm}.running_var")
        scale = self._array(f"{norm}.weight") / np.sqrt(variance + BATCH_NORM_EPSILON)
        return scale, self._array(f"{norm}.bias") - self._array(f"{norm}.running_mean") * scale

    def _array(self, key: str) -> NDArray[np.float64]:
        return np.asarray(self._state_dict[key].detach().cpu().double(), dtype=np.float64)


class TimingWeights:
    """Random weights for timing. Activations stay near unit variance, so that no value becomes
    denormal or infinite.

    They are slices of one fixed table of normal deviates. Drawing six million fresh ones per
    network would take longer than writing the rest of the file.
    """

    def fold(self, op: Op) -> tuple[Array, Array]:
        shape = op.kernel_shape
        gain = np.float32(math.sqrt(1 / math.prod(shape[1:])))
        kernel, table = np.empty(math.prod(shape), np.float32), _normal_deviates()
        for start in range(0, len(kernel), _TABLE_SIZE):
            part = kernel[start : start + _TABLE_SIZE]
            np.multiply(table[: len(part)], gain, out=part)
        return kernel.reshape(shape), np.full(shape[0], 0.01, np.float32)


_TABLE_SIZE = 1 << 18


@cache
def _normal_deviates() -> Array:
    return np.random.default_rng(0).standard_normal(_TABLE_SIZE, dtype=np.float32)


def weights_for(arch: Architecture, model: Any = None) -> Weights:
    """The weights that a writer puts into the file of `arch`.

    Args:
        arch: the network to write.
        model: a torch module of `arch` at any resolution, or `None` for weights made for timing.

    Raises:
        CheckpointError: the module's weights do not fit `arch`.
    """
    if model is None:
        return TimingWeights()
    built_from = getattr(model, "architecture", None)
    if isinstance(built_from, Architecture):
        check_architecture(built_from, arch, "the model")
    state_dict = model.state_dict()
    check_tensors(lower(arch), tensor_infos(state_dict), "the model")
    return TrainedWeights(state_dict)
