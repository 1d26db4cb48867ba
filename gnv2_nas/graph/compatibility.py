"""Whether tensors are the weights of a graph: every difference named, in one line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from gnv2_nas.arch import Architecture
from gnv2_nas.errors import CheckpointError
from gnv2_nas.graph.op import Graph
from gnv2_nas.graph.weight_shapes import (
    clipped_axes,
    expected_shapes,
    is_bookkeeping,
    optional_shapes,
)


class Storage(msgspec.Struct, frozen=True):
    """A stretch of numbers that tensors are views of."""

    key: str
    dtype: str
    size: int
    """Bytes."""
    count: int
    """Numbers."""


class TensorInfo(msgspec.Struct, frozen=True):
    """What a file says of one tensor before its values are read."""

    dtype: str
    """As torch names it: "float32", "int64" …"""
    shape: tuple[int, ...]
    storage: Storage | None = None
    """Where the values are; None where the file names them by key or they cannot be read."""
    offset: int = 0
    """Numbers before the first one."""
    stride: tuple[int, ...] = ()


_MOST_CLASSES = 1_000_000
_NAMED = 8
"""How many keys of a kind a message names before it only counts them."""
_LONGEST_KEY = 100
_FLOATS = frozenset({"float64", "float32", "float16", "bfloat16"})


def check_tensors(graph: Graph, tensors: Mapping[str, Any], source: str) -> None:
    """Raise CheckpointError unless `tensors` are exactly the weights of `graph`.

    Args:
        graph: the network.
        tensors: key → `TensorInfo`; anything else is reported as no tensor.
        source: where they come from, for the message.
    """
    if problem := differences(graph, tensors):
        raise CheckpointError(f"{source} does not fit the network: {problem}")


def differences(graph: Graph, tensors: Mapping[str, Any]) -> str:
    """Everything that does not fit, in one line; "" when all does."""
    expected, optional, axes = expected_shapes(graph), optional_shapes(graph), clipped_axes(graph)
    known = expected | optional
    differences = {
        "missing": [_shown(key) for key in expected if key not in tensors],
        "unexpected": [
            _shown(key)
            for key, value in tensors.items()
            if key not in known
            and not (isinstance(value, TensorInfo) and is_bookkeeping(key, value.shape))
        ],
        "wrong": [
            f"{key} {difference}"
            for key, shape in known.items()
            if key in tensors
            and (difference := _difference(tensors[key], shape, axes.get(key, ()), key in optional))
        ],
    }
    return "; ".join(
        f"{len(keys)} {kind} ({_listed(keys)})" for kind, keys in differences.items() if keys
    )


def count_classes(tensors: Mapping[str, Any]) -> int:
    """Of the classifier; 0 where there is none."""
    bias = tensors.get("classifier.bias")
    shape = bias.shape if isinstance(bias, TensorInfo) else ()
    return shape[0] if len(shape) == 1 and shape[0] <= _MOST_CLASSES else 0


def check_architecture(found: Architecture, wanted: Architecture, source: str) -> None:
    """Raise CheckpointError unless weights of `found` are weights of `wanted`.

    The resolution may differ: the same network for larger or smaller images. What shapes cannot
    tell apart, for instance how an attention map is resized, must be the same.
    """
    if found.replace(resolution=wanted.resolution) != wanted:
        raise CheckpointError(
            f"{source} holds weights of architecture {found.id}, but {wanted.id} is to be loaded;"
            " build the model from the architecture its weights were saved with"
        )


def tensor_infos(state_dict: Mapping[str, Any]) -> dict[str, Any]:
    """Key → `TensorInfo` of torch tensors in memory; what is no tensor stays as it is."""
    return {
        key: TensorInfo(str(value.dtype).removeprefix("torch."), tuple(value.shape))
        if hasattr(value, "data_ptr") and hasattr(value, "shape")
        else value
        for key, value in state_dict.items()
    }


def _difference(found: Any, shape: tuple[int, ...], axes: Sequence[int], counter: bool) -> str:
    """What is wrong with one tensor, in words; "" when nothing is."""
    if not isinstance(found, TensorInfo):
        return "is no tensor"
    if not _same_shape(found.shape, shape, axes):
        return f"is {_sides(found.shape)}, must be {_sides(shape)}"
    if not counter and found.dtype not in _FLOATS:
        return f"is {found.dtype}, must be floating point"
    return ""


def _same_shape(found: tuple[int, ...], wanted: tuple[int, ...], axes: Sequence[int]) -> bool:
    return len(found) == len(wanted) and all(
        side == target or (axis in axes and side > target and side % 2 == 1)
        for axis, (side, target) in enumerate(zip(found, wanted, strict=True))
    )


def _sides(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape)) or "a scalar"


def _listed(texts: Sequence[str]) -> str:
    more = len(texts) - _NAMED
    return ", ".join(texts[:_NAMED]) + (f" and {more} more" if more > 0 else "")


def _shown(key: str) -> str:
    short = key if len(key) <= _LONGEST_KEY else f"{key[:_LONGEST_KEY]}…"
    return short if short.isprintable() else repr(short)
