"""Whether tensors fit a graph: the state dict that a network has, and every difference from it.

Works on shapes and types alone, without torch and numpy.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from gnv2_nas.arch import Architecture
from gnv2_nas.errors import CheckpointError
from gnv2_nas.graph.op import Graph

MAX_CLASSES = 1_000_000
_MAX_LISTED = 8
"""Number of keys of a kind that a message lists."""
_MAX_KEY = 100
"""Characters of a key that a message shows."""
_FLOATS = frozenset({"float64", "float32", "float16", "bfloat16"})
_COUNTERS = frozenset(
    {
        "num_batches_tracked",
        # thop, ptflops and similar tools add these to every module.
        "total_ops", "total_params", "total_flops", "total_macs", "total_memory", "__flops__",
        "__params__", "__macs__", "flops", "params", "macs", "ops",
        # Averages of weights add these.
        "n_averaged", "num_updates", "num_averaged", "initted", "step", "decay",
    }
)  # fmt: skip


class Storage(msgspec.Struct, frozen=True):
    """A block of numbers that tensors are views of."""

    key: str
    dtype: str
    size: int
    """Bytes."""
    count: int
    """Number of elements."""


class TensorInfo(msgspec.Struct, frozen=True):
    """What a file says about a tensor before its values are read."""

    dtype: str
    """Torch's name: "float32", "int64" …"""
    shape: tuple[int, ...]
    storage: Storage | None = None
    """Where the values are; None if they cannot be read."""
    offset: int = 0
    """Elements of the storage before the first value."""
    stride: tuple[int, ...] = ()


def expected_shapes(graph: Graph) -> dict[str, tuple[int, ...]]:
    """Key → shape of every tensor in the network's state dict, except `optional_shapes`."""
    shapes: dict[str, tuple[int, ...]] = {}
    for op in graph.ops:
        if not op.weight:
            continue
        shapes[f"{op.weight}.weight"] = op.kernel_shape
        if op.bias:
            shapes[f"{op.weight}.bias"] = op.shape[:1]
        for norm in op.norms:
            for part in ("weight", "bias", "running_mean", "running_var"):
                shapes[f"{norm}.{part}"] = op.shape[:1]
    return shapes


def optional_shapes(graph: Graph) -> dict[str, tuple[int, ...]]:
    """Key → shape of batch norm's counters, which no computation reads."""
    return {f"{norm}.num_batches_tracked": () for op in graph.ops for norm in op.norms}


def is_counter(key: str, shape: tuple[int, ...]) -> bool:
    """Whether a tensor is a counter of operations, steps or updates, which nothing reads."""
    return max((1, *shape)) == 1 and key.rpartition(".")[2] in _COUNTERS


def clipped_axes(graph: Graph) -> dict[str, tuple[int, ...]]:
    """Key of a depthwise kernel → its axes (2: height, 3: width) that the map's size limits.

    On a side of m pixels, taps beyond ±(m-1) read only zero padding, so an architecture has at
    most 2m-1 of them. Along such an axis, a larger kernel computes the same as its centre (see
    `weights.centre_crop`), for instance one trained on larger images.
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


def check_tensors(graph: Graph, tensors: Mapping[str, Any], source: str) -> None:
    """Check that `tensors` are exactly the weights of `graph`.

    Args:
        graph: the network.
        tensors: key → `TensorInfo`; any other value is reported as not a tensor.
        source: name of their origin for the message.

    Raises:
        CheckpointError: they are not; the message lists the differences.
    """
    if problem := describe_differences(graph, tensors):
        raise CheckpointError(f"{source} does not fit the network: {problem}")


def describe_differences(graph: Graph, tensors: Mapping[str, Any]) -> str:
    """All differences from the network's state dict in one line; "" if there are none."""
    expected, optional, axes = expected_shapes(graph), optional_shapes(graph), clipped_axes(graph)
    known = expected | optional
    differences = {
        "missing": [_shorten(key) for key in expected if key not in tensors],
        "unexpected": [
            _shorten(key)
            for key, value in tensors.items()
            if key not in known
            and not (isinstance(value, TensorInfo) and is_counter(key, value.shape))
        ],
        "wrong": [
            f"{key} {problem}"
            for key, shape in known.items()
            if key in tensors
            and (problem := _problem(tensors[key], shape, axes.get(key, ()), key in optional))
        ],
    }
    return "; ".join(
        f"{len(keys)} {kind} ({_join(keys)})" for kind, keys in differences.items() if keys
    )


def count_classes(tensors: Mapping[str, Any]) -> int:
    """Number of outputs of the classifier; 0 if there is no classifier."""
    bias = tensors.get("classifier.bias")
    shape = bias.shape if isinstance(bias, TensorInfo) else ()
    return shape[0] if len(shape) == 1 and shape[0] <= MAX_CLASSES else 0


def check_architecture(found: Architecture, wanted: Architecture, source: str) -> None:
    """Check that weights of `found` can be used for `wanted`.

    The resolution may differ. All other values must be equal, because shapes do not show some of
    them, for instance how an attention map is resized.

    Raises:
        CheckpointError: they differ.
    """
    if found.replace(resolution=wanted.resolution) != wanted:
        raise CheckpointError(
            f"{source} holds weights of architecture {found.id}, but {wanted.id} is to be loaded;"
            " build the model from the architecture its weights were saved with"
        )


def tensor_infos(state_dict: Mapping[str, Any]) -> dict[str, Any]:
    """Key → `TensorInfo` for torch tensors in memory; other values stay as they are."""
    return {
        key: TensorInfo(str(value.dtype).removeprefix("torch."), tuple(value.shape))
        if hasattr(value, "data_ptr") and hasattr(value, "shape")
        else value
        for key, value in state_dict.items()
    }


def _problem(found: Any, shape: tuple[int, ...], axes: Sequence[int], counter: bool) -> str:
    """What is wrong with one tensor; "" if nothing is."""
    if not isinstance(found, TensorInfo):
        return "is no tensor"
    if not _same_shape(found.shape, shape, axes):
        return f"is {_format(found.shape)}, must be {_format(shape)}"
    if not counter and found.dtype not in _FLOATS:
        return f"is {found.dtype}, must be floating point"
    return ""


def _same_shape(found: tuple[int, ...], wanted: tuple[int, ...], axes: Sequence[int]) -> bool:
    return len(found) == len(wanted) and all(
        side == target or (axis in axes and side > target and side % 2 == 1)
        for axis, (side, target) in enumerate(zip(found, wanted, strict=True))
    )


def _format(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape)) or "a scalar"


def _join(texts: Sequence[str]) -> str:
    more = len(texts) - _MAX_LISTED
    return ", ".join(texts[:_MAX_LISTED]) + (f" and {more} more" if more > 0 else "")


def _shorten(key: str) -> str:
    short = key if len(key) <= _MAX_KEY else f"{key[:_MAX_KEY]}…"
    return short if short.isprintable() else repr(short)
