"""Which weights a graph carries, where they come from, and batch norm folded into them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cache
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from gnv2_nas.graph.op import Graph, Op

BATCH_NORM_EPSILON = 1e-5

Array = NDArray[np.float32]
_Kernel = TypeVar("_Kernel", bound=Any)


class Weights(Protocol):
    """Gives each convolution and linear layer its folded weights."""

    def folded(self, op: Op) -> tuple[Array, Array]:
        """(out_channels, in_channels / groups, kernel_h, kernel_w) and the bias, both float32."""
        ...


def kernel_shape(op: Op) -> tuple[int, ...]:
    """Shape of the weight tensor of a convolution or linear layer in the torch module."""
    if op.kind == "linear":
        return (op.shape[0], op.in_channels)
    return (op.shape[0], op.in_channels // op.groups, *op.kernel)


def expected_shapes(graph: Graph) -> dict[str, tuple[int, ...]]:
    """Key → shape of every tensor the state dict of this network holds.

    Without batch norm's `num_batches_tracked`, which no computation reads.
    """
    shapes: dict[str, tuple[int, ...]] = {}
    for op in graph.ops:
        if not op.weight:
            continue
        shapes[f"{op.weight}.weight"] = kernel_shape(op)
        if op.bias:
            shapes[f"{op.weight}.bias"] = op.shape[:1]
        if op.norm:
            for part in ("weight", "bias", "running_mean", "running_var"):
                shapes[f"{op.norm}.{part}"] = op.shape[:1]
    return shapes


def optional_shapes(graph: Graph) -> dict[str, tuple[int, ...]]:
    """Key → shape of tensors a state dict may hold and no computation reads."""
    return {f"{op.norm}.num_batches_tracked": () for op in graph.ops if op.norm}


def clipped_axes(graph: Graph) -> dict[str, tuple[int, ...]]:
    """Key of a depthwise kernel → its axes (2: height, 3: width) at the limit of its map.

    On a side of m pixels, taps beyond ±(m-1) meet only zero padding, so an architecture holds at
    most 2m-1 of them. Along these axes a larger kernel, for instance of the same network made
    for larger images, computes the same as its centre (`centre_crop`).
    """
    axes: dict[str, tuple[int, ...]] = {}
    for op in graph.ops:
        if op.kind == "conv" and op.groups == op.in_channels:
            sides = graph.ops[op.inputs[0]].shape[1:]
            pairs = zip((2, 3), op.kernel, sides, strict=True)
            axes[f"{op.weight}.weight"] = tuple(
                axis for axis, taps, side in pairs if taps >= 2 * side - 1
            )
    return axes


def centre_crop(kernel: _Kernel, shape: tuple[int, ...]) -> _Kernel:
    """The central taps of a (channels, 1, height, width) kernel, to the last two of `shape`."""
    height, width = shape[-2:]
    top, left = (kernel.shape[-2] - height) // 2, (kernel.shape[-1] - width) // 2
    cropped: _Kernel = kernel[..., top : top + height, left : left + width]
    return cropped


class TrainedWeights:
    """The weights of a torch module's state dict, batch norm folded in float64."""

    def __init__(self, state_dict: Mapping[str, Any]) -> None:
        self._state_dict = state_dict

    def folded(self, op: Op) -> tuple[Array, Array]:
        kernel = self._array(f"{op.weight}.weight")
        if op.kind == "conv":
            kernel = centre_crop(kernel, op.kernel)
        bias = self._array(f"{op.weight}.bias") if op.bias else np.zeros(op.shape[0])
        if op.norm:
            variance = self._array(f"{op.norm}.running_var")
            scale = self._array(f"{op.norm}.weight") / np.sqrt(variance + BATCH_NORM_EPSILON)
            bias = (
                self._array(f"{op.norm}.bias")
                + (bias - self._array(f"{op.norm}.running_mean")) * scale
            )
            kernel = kernel * scale.reshape(-1, 1, 1, 1)
        return kernel.astype(np.float32), bias.astype(np.float32)

    def _array(self, key: str) -> NDArray[np.float64]:
        return np.asarray(self._state_dict[key].detach().cpu().double(), dtype=np.float64)


class TimingWeights:
    """Random weights that keep activations near unit variance: for timing, where values do not
    matter as long as none is denormal, infinite or zero.

    Slices of one fixed table of normal deviates: drawing six million fresh ones for every
    candidate would cost more than writing the rest of the file.
    """

    def folded(self, op: Op) -> tuple[Array, Array]:
        shape = kernel_shape(op)
        size = math.prod(shape)
        gain = math.sqrt(1 / math.prod(shape[1:]))
        kernel = np.resize(_normal_deviates(), size) if size > _TABLE else _normal_deviates()[:size]
        return (kernel * np.float32(gain)).reshape(shape), np.full(shape[0], 0.01, np.float32)


_TABLE = 1 << 18


@cache
def _normal_deviates() -> Array:
    return np.random.default_rng(0).standard_normal(_TABLE, dtype=np.float32)
