"""A network that another tool wrote, as data; reads no file and imports no format's package."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TypeAlias

import msgspec

from gnv2_nas.arch import Architecture
from gnv2_nas.errors import InputError
from gnv2_nas.graph import Counts, count

DEFAULT_SIDE = 224
"""Height and width that a file with free sides gets: those of stock GhostNetV2 1.0."""
TYPES = ("float16", "float32", "int8", "uint8")
"""Types of input that a file can be timed with."""
SUFFIXES = (".onnx", ".tflite")
"""Of the formats that can be read."""
_CHANNELS = (1, 3, 4)


class Input(msgspec.Struct, frozen=True):
    """The input that a file is timed with."""

    shape: tuple[int, ...]
    """Without free sizes; the first is the batch, 1."""
    dtype: str
    """One of `TYPES`."""
    free: bool = False
    """Whether a side was free in the file and got its size here."""

    def describe(self) -> str:
        """Return "1x3x224x224 float32"."""
        return f"{format_shape(self.shape)} {self.dtype}"


class FileCounts(msgspec.Struct, frozen=True):
    """Counts of a file's graph at batch 1."""

    macs: int | None
    """Multiply-adds of convolutions and products of matrices; None if they cannot be counted."""
    params: int
    """Elements of the weights, biases and scales that the graph computes with, without the means
    and variances of batch norm."""
    weight_bytes: int
    """Bytes of these elements in the file."""
    uncounted: str = ""
    """Why `macs` is None."""


class ForeignNetwork(msgspec.Struct, frozen=True, dict=True):
    """A network that another tool wrote."""

    name: str
    """As the user named the file."""
    content: Mapping[str, bytes]
    """One suffix → the bytes that are timed: with one fixed input, and with all weights."""
    input: Input
    counts: FileCounts

    @property
    def suffix(self) -> str:
        """ ".onnx" or ".tflite"."""
        return next(iter(self.content))

    @cached_property
    def id(self) -> str:
        """Hash of the bytes that are timed: 12 hexadecimal digits, as of an architecture."""
        return hashlib.sha256(self.content[self.suffix]).hexdigest()[:12]


TimedNetwork: TypeAlias = Architecture | ForeignNetwork
"""A network that can be measured."""


def fix_input(shape: Sequence[int | None], dtype: str, side: int = DEFAULT_SIDE) -> Input:
    """Return the input with a size for everything that the file leaves free.

    Args:
        shape: sizes in the file; None for a free one.
        dtype: element type in NumPy's words.
        side: size of a free side if the other is free, too.

    Raises:
        InputError: another batch than 1, free sizes that are no sides of an image, or another type.
    """
    if dtype not in TYPES:
        raise InputError(f"its input is of type {dtype}; {', '.join(TYPES)} can be timed")
    written = format_shape(shape)
    if not shape or any(size is not None and size < 1 for size in shape):
        raise InputError(f"its input has the shape [{written}], which no image has")
    batch, *rest = shape
    if batch not in (1, None):
        raise InputError(
            f"its batch is fixed at {batch}: export it with a batch of 1, or a free one"
        )
    if None not in rest:
        return Input((1, *(size for size in rest if size is not None)), dtype)
    first = next((at for at in (0, 2) if len(rest) == 3 and rest[at] in _CHANNELS), None)
    if first is None:
        raise InputError(
            f"its input has free sizes that are no sides of an image, [{written}]: export it with "
            "a fixed shape, or with channels in the second or last place"
        )
    sides = rest[1:] if first == 0 else rest[:2]
    known = next((size for size in sides if size is not None), side)
    return Input((1, *(size or known for size in rest)), dtype, free=True)


def format_shape(shape: Sequence[int | None]) -> str:
    """Return "1x3x?x?"; None stands for a free size."""
    return "x".join("?" if size is None else str(size) for size in shape)


def counts_of(network: TimedNetwork) -> Counts | FileCounts:
    """Return the counts of a network or of a file of another tool."""
    return count(network) if isinstance(network, Architecture) else network.counts


def is_foreign(reference: str) -> bool:
    """Return whether a name is that of a file of another tool, by its suffix."""
    return Path(reference).suffix.lower() in SUFFIXES
