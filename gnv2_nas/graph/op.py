"""`Op` and `Graph`: the operators of a network, in order, with their shapes."""

from __future__ import annotations

import msgspec

Shape = tuple[int, int, int]
"""Channels, height, width; the batch is not part of a graph."""


class Op(msgspec.Struct, frozen=True, gc=False):
    """One operator. Its place in `Graph.ops` is its number; `inputs` are such numbers.

    Kinds: input, conv, relu, hard_swish, sigmoid, hard_sigmoid, avg_pool, max_pool, global_pool,
    resize, concat, slice, add, mul, linear. Fields that a kind does not use keep their defaults.
    Convolutions pad with kernel//2 on each side; pools do not pad and drop an incomplete window.
    """

    kind: str
    name: str
    """Where in the torch module it stands, for instance "blocks.3.0.ghost1.primary_conv"."""
    inputs: tuple[int, ...]
    shape: Shape
    """Of the output."""
    in_channels: int = 0
    kernel: tuple[int, int] = (1, 1)
    stride: int = 1
    groups: int = 1
    weight: str = ""
    """Key prefix of the weights in the state dict."""
    norm: str = ""
    """Key prefix of the batch norm that follows and is folded in; "" where there is none."""
    bias: bool = False
    """Whether the torch module has a bias of its own, apart from the batch norm."""
    mode: str = ""
    """Of a resize: "nearest" or "bilinear"."""


class Graph(msgspec.Struct, frozen=True):
    """The operators of one architecture in execution order; the last one gives the logits."""

    ops: tuple[Op, ...]

    @property
    def output(self) -> Op:
        return self.ops[-1]

    def last_uses(self) -> list[int]:
        """For each op the number of the last op that reads it; its own number for the output."""
        last = list(range(len(self.ops)))
        for number, op in enumerate(self.ops):
            for source in op.inputs:
                last[source] = number
        return last
