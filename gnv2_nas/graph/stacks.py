"""Graphs of single modules: a few equal ones between a small stem and a small head.

A module alone would be timed with the layout changes of its input and output, which it does not
have within a network. So a pointwise stem makes its input, and a global pooling and a linear layer
read its output. The graph without modules, the frame, is timed as well and subtracted.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from gnv2_nas.graph.count import op_macs
from gnv2_nas.graph.lower import GraphBuilder
from gnv2_nas.graph.op import Graph

HEAD_FEATURES = 8
"""Outputs of the linear layer at the end."""
_MODULES = "modules"
"""Prefix of the names of what is between stem and head."""

AddModule = Callable[[GraphBuilder, int, str], int]
"""(builder, number of the op to read, prefix of names) → number of the op with the output."""


def stack(side: int, channels: int, modules: Sequence[AddModule] = ()) -> Graph:
    """(3, side, side) → stem to `channels` → modules → pooling → linear.

    Args:
        side: height and width of the map that the first module reads.
        channels: channels of that map.
        modules: what appends each module, which reads the one before; () gives the frame alone.
    """
    build = GraphBuilder(3, side)
    x = build.conv(0, "stem", channels, weight="stem", bias=True)
    x = build.elementwise("relu", "stem.act", x)
    build.role = "block"
    for number, add in enumerate(modules):
        x = add(build, x, f"{_MODULES}.{number}")
    build.role = "head"
    build.linear(build.global_pool(x, "pool"), "head", HEAD_FEATURES)
    return Graph(tuple(build.ops))


def module_macs(graph: Graph) -> int:
    """Multiply-adds of all modules of a stack, without its frame."""
    return sum(op_macs(op) for op in graph.ops if op.name.startswith(f"{_MODULES}."))


def add_pointwise(
    build: GraphBuilder, source: int, key: str, channels: int, *, relu: bool = True
) -> int:
    """A 1x1 convolution: what a Ghost module replaces, or a matrix product over the pixels."""
    x = build.conv(source, f"{key}.conv", channels, weight=f"{key}.conv", norm=f"{key}.bn")
    return build.elementwise("relu", f"{key}.act", x) if relu else x


def add_depthwise(build: GraphBuilder, source: int, key: str, *kernels: tuple[int, int]) -> int:
    """Depthwise convolutions, one after the other, without activation functions."""
    channels = build.ops[source].shape[0]
    for index, kernel in enumerate(kernels):
        name = f"{key}.{index}"
        source = build.conv(
            source, name, channels, kernel, 1, channels, weight=name, norm=f"{name}.bn"
        )
    return source
