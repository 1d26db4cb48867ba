"""`Op` and `Graph`: the operators of a network, in order, with their shapes.

`OP_TRAITS` says what an operator kind is; code that treats kinds differently asks it.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

import msgspec

Shape = tuple[int, int, int]
"""Channels, height, width; a graph has no batch dimension."""

OpKind = Literal[
    "input", "conv", "linear", "relu", "hard_swish", "sigmoid", "hard_sigmoid", "avg_pool",
    "max_pool", "global_pool", "resize", "concat", "slice", "add", "mul",
]  # fmt: skip

Role = Literal["stem", "block", "dfc", "se", "head"]
"""Part of the network that an op belongs to: stem, DFC attention, squeeze-and-excitation, the
rest of a block, or everything after the last block."""


class OpTraits(msgspec.Struct, frozen=True):
    """What is true of all operators of one kind."""

    weighted: bool = False
    """Has weights and multiply-adds."""
    activation: bool = False
    """A function of each value of one map. It overwrites its input if nothing else reads it."""
    keeps_channels: bool = False
    """Output channel i depends on input channel i alone."""


_WEIGHTED, _MOVES, _KEEPS = OpTraits(weighted=True), OpTraits(), OpTraits(keeps_channels=True)
_ACTIVATION = OpTraits(activation=True, keeps_channels=True)

OP_TRAITS: Mapping[OpKind, OpTraits] = MappingProxyType(
    {
        "input": _MOVES,
        "conv": _WEIGHTED,
        "linear": _WEIGHTED,
        "relu": _ACTIVATION,
        "hard_swish": _ACTIVATION,
        "sigmoid": _ACTIVATION,
        "hard_sigmoid": _ACTIVATION,
        "avg_pool": _KEEPS,
        "max_pool": _KEEPS,
        "global_pool": _KEEPS,
        "resize": _KEEPS,
        "concat": _MOVES,
        "slice": _MOVES,
        "add": _KEEPS,
        "mul": _KEEPS,
    }
)


class Op(msgspec.Struct, frozen=True, gc=False):
    """One operator. Its index in `Graph.ops` is its number.

    Fields that a kind does not use keep their defaults. Convolutions pad with kernel//2 on each
    side. Pools do not pad, and drop an incomplete window.
    """

    kind: OpKind
    name: str
    """Path in the torch module, for instance "blocks.3.0.ghost1.primary_conv"."""
    inputs: tuple[int, ...]
    """Numbers of the ops that it reads."""
    shape: Shape
    """Shape of the output."""
    in_channels: int = 0
    kernel: tuple[int, int] = (1, 1)
    stride: int = 1
    groups: int = 1
    weight: str = ""
    """Prefix of its keys in the state dict."""
    norm: str = ""
    """Prefix of the keys of the batch norm that follows; "" if there is none."""
    bias: bool = False
    """Whether the torch module has a bias besides the batch norm."""
    mode: str = ""
    """Resizes only: "nearest" or "bilinear"."""
    role: Role = "block"
    branch: str = ""
    """Prefix of the keys of a batch norm of the input that is added to the output; "" if there is
    none. A depthwise convolution with stride 1 takes it up, see `graph.weights`."""

    @property
    def norms(self) -> tuple[str, ...]:
        """Prefixes of the keys of its batch norms."""
        return tuple(filter(None, (self.norm, self.branch)))

    @property
    def kernel_shape(self) -> tuple[int, ...]:
        """Shape of the weight tensor in the torch module."""
        if self.kind == "linear":
            return (self.shape[0], self.in_channels)
        return (self.shape[0], self.in_channels // self.groups, *self.kernel)


class Graph(msgspec.Struct, frozen=True):
    """The operators of one architecture in execution order. The last one outputs the logits."""

    ops: tuple[Op, ...]

    @property
    def output(self) -> Op:
        return self.ops[-1]

    def readers(self) -> list[list[int]]:
        """For each op, the numbers of the ops that read it."""
        readers: list[list[int]] = [[] for _ in self.ops]
        for number, op in enumerate(self.ops):
            for source in op.inputs:
                readers[source].append(number)
        return readers

    def last_uses(self) -> list[int]:
        """For each op, the number of the last op that reads it; its own number for the output."""
        last = list(range(len(self.ops)))
        for number, op in enumerate(self.ops):
            for source in op.inputs:
                last[source] = number
        return last
