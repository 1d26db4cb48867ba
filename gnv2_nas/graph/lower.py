"""`lower`: Architecture → Graph, in plain Python, well under a millisecond.

The torch modules in `nn` define the same networks; a property test compares the two.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gnv2_nas.arch import (
    DFC,
    Architecture,
    Block,
    GhostBlock,
    GhostModule,
    MobileBlock,
    block_keys,
    is_identity_shortcut,
)
from gnv2_nas.graph.op import Graph, Op, OpKind, Role


class GraphBuilder:
    """Appends operators of the current role. Each method returns the number of the new op."""

    def __init__(self, channels: int, side: int) -> None:
        self.role: Role = "stem"
        self.ops = [Op("input", "input", (), (channels, side, side), role="stem")]

    def conv(
        self,
        source: int,
        name: str,
        out_channels: int,
        kernel: tuple[int, int] = (1, 1),
        stride: int = 1,
        groups: int = 1,
        weight: str = "",
        norm: str = "",
        bias: bool = False,
        branch: str = "",
    ) -> int:
        in_channels, height, width = self.ops[source].shape
        if stride > 1:
            height, width = (height - 1) // stride + 1, (width - 1) // stride + 1
        shape = (out_channels, height, width)
        op = Op(
            "conv", name, (source,), shape, in_channels, kernel, stride, groups, weight, norm, bias,
            "", self.role, branch,
        )  # fmt: skip
        return self._append(op)

    def elementwise(self, kind: OpKind, name: str, *sources: int) -> int:
        shape = self.ops[sources[0]].shape
        return self._append(Op(kind, name, sources, shape, role=self.role))

    def pool(self, kind: OpKind, source: int, name: str, factor: int) -> int:
        channels, height, width = self.ops[source].shape
        shape = (channels, height // factor, width // factor)
        kernel = (factor, factor)
        return self._append(
            Op(kind, name, (source,), shape, channels, kernel, factor, role=self.role)
        )

    def global_pool(self, source: int, name: str) -> int:
        channels = self.ops[source].shape[0]
        shape = (channels, 1, 1)
        return self._append(Op("global_pool", name, (source,), shape, channels, role=self.role))

    def resize(self, source: int, like: int, name: str, mode: str) -> int:
        shape = self.ops[like].shape
        return self._append(Op("resize", name, (source,), shape, mode=mode, role=self.role))

    def concat(self, name: str, first: int, second: int) -> int:
        channels, height, width = self.ops[first].shape
        shape = (channels + self.ops[second].shape[0], height, width)
        return self._append(Op("concat", name, (first, second), shape, role=self.role))

    def slice_channels(self, source: int, name: str, channels: int) -> int:
        _, height, width = self.ops[source].shape
        shape = (channels, height, width)
        return self._append(Op("slice", name, (source,), shape, role=self.role))

    def linear(self, source: int, name: str, features: int) -> int:
        in_channels = self.ops[source].shape[0]
        shape = (features, 1, 1)
        op = Op(
            "linear", name, (source,), shape, in_channels, weight=name, bias=True, role=self.role
        )
        return self._append(op)

    def _append(self, op: Op) -> int:
        self.ops.append(op)
        return len(self.ops) - 1


def lower(arch: Architecture) -> Graph:
    """The operators of `arch` in order, with names, shapes and keys of weights."""
    build = GraphBuilder(3, arch.resolution)
    x = build.conv(0, "conv_stem", arch.stem_channels, (3, 3), 2, weight="conv_stem", norm="bn1")
    x = build.elementwise(arch.activation, "act1", x)
    *keys, last = block_keys(arch)
    build.role = "block"
    for key, block in zip(keys, arch.blocks, strict=True):
        x = _BLOCKS[type(block)](build, x, key, block)
    build.role, conv = "head", f"{last}.conv"
    x = build.conv(x, conv, arch.conv_channels, weight=conv, norm=f"{last}.bn1")
    x = build.elementwise(arch.activation, f"{last}.act1", x)
    x = build.global_pool(x, "global_pool")
    x = build.conv(x, "conv_head", arch.head_channels, weight="conv_head", bias=True)
    x = build.elementwise(arch.activation, "act2", x)
    build.linear(x, "classifier", arch.num_classes)
    return Graph(tuple(build.ops))


def add_ghost_block(build: GraphBuilder, source: int, key: str, block: GhostBlock) -> int:
    in_channels = build.ops[source].shape[0]
    x = add_ghost_module(
        build, source, f"{key}.ghost1", block.hidden_channels, block.ghost1, relu=True
    )
    kernel = (block.kernel, block.kernel)
    if block.stride > 1:
        name, norm = f"{key}.conv_dw", f"{key}.bn_dw"
        hidden = block.hidden_channels
        x = build.conv(x, name, hidden, kernel, block.stride, hidden, name, norm)
    if block.se_channels:
        x = _squeeze_excite(build, x, f"{key}.se", block.se_channels)
    x = add_ghost_module(build, x, f"{key}.ghost2", block.out_channels, block.ghost2, relu=False)
    shortcut = source
    if not is_identity_shortcut(block, in_channels):
        name = f"{key}.shortcut"
        depthwise, pointwise = f"{name}.0", f"{name}.2"
        shortcut = build.conv(
            source, depthwise, in_channels, kernel, block.stride, in_channels, depthwise,
            f"{name}.1",
        )  # fmt: skip
        shortcut = build.conv(
            shortcut, pointwise, block.out_channels, weight=pointwise, norm=f"{name}.3"
        )
    return build.elementwise("add", f"{key}.add", x, shortcut)


def add_ghost_module(
    build: GraphBuilder,
    source: int,
    key: str,
    out_channels: int,
    module: GhostModule,
    *,
    relu: bool,
) -> int:
    primary_channels = module.primary_channels(out_channels)
    name = f"{key}.primary_conv"
    primary = build.conv(source, name, primary_channels, weight=f"{name}.0", norm=f"{name}.1")
    if relu:
        primary = build.elementwise("relu", f"{name}.2", primary)
    name = f"{key}.cheap_operation"
    kernel = (module.cheap_kernel, module.cheap_kernel)
    cheap_channels = primary_channels * (1 if module.adds else module.ratio - 1)
    cheap = build.conv(
        primary, name, cheap_channels, kernel, 1, primary_channels, f"{name}.0", f"{name}.1",
        branch=f"{key}.fusion_bn.0" if module.adds else "",
    )  # fmt: skip
    if relu:
        cheap = build.elementwise("relu", f"{key}.relu" if module.adds else f"{name}.2", cheap)
    x = cheap
    if not module.adds:
        x = build.concat(f"{key}.concat", primary, cheap)
        if primary_channels + cheap_channels > out_channels:
            x = build.slice_channels(x, f"{key}.cut", out_channels)
    return x if module.dfc is None else _attention(build, source, x, key, module.dfc)


def _attention(build: GraphBuilder, source: int, features: int, key: str, dfc: DFC) -> int:
    build.role, channels = "dfc", build.ops[features].shape[0]
    name = f"{key}.short_conv"
    x = source
    if dfc.factor > 1:
        x = build.pool(
            "avg_pool" if dfc.pool == "avg" else "max_pool", x, f"{name}.pool", dfc.factor
        )
    x = build.conv(x, f"{name}.0", channels, weight=f"{name}.0", norm=f"{name}.1")
    for index, kernel in ((2, (1, dfc.kernel_w)), (4, (dfc.kernel_h, 1))):
        convolution = f"{name}.{index}"
        norm = f"{name}.{index + 1}"
        x = build.conv(x, convolution, channels, kernel, 1, channels, convolution, norm)
    x = build.elementwise("sigmoid", f"{name}.gate", x)
    if build.ops[x].shape != build.ops[features].shape:
        x = build.resize(x, features, f"{name}.resize", dfc.resize)
    x = build.elementwise("mul", f"{key}.attend", features, x)
    build.role = "block"
    return x


def _squeeze_excite(build: GraphBuilder, source: int, key: str, se_channels: int) -> int:
    build.role, channels = "se", build.ops[source].shape[0]
    reduce, expand = f"{key}.conv_reduce", f"{key}.conv_expand"
    x = build.global_pool(source, f"{key}.pool")
    x = build.conv(x, reduce, se_channels, weight=reduce, bias=True)
    x = build.elementwise("relu", f"{key}.act1", x)
    x = build.conv(x, expand, channels, weight=expand, bias=True)
    x = build.elementwise("hard_sigmoid", f"{key}.gate", x)
    x = build.elementwise("mul", f"{key}.scale", source, x)
    build.role = "block"
    return x


def _mobile_block(build: GraphBuilder, source: int, key: str, block: MobileBlock) -> int:
    in_channels = build.ops[source].shape[0]
    hidden, x, norm = block.hidden_channels, source, 1
    if hidden != in_channels:
        name = f"{key}.conv_pw"
        x = build.conv(x, name, hidden, weight=name, norm=f"{key}.bn{norm}")
        x = build.elementwise(block.activation, f"{key}.act{norm}", x)
        norm += 1
    name, kernel = f"{key}.conv_dw", (block.kernel, block.kernel)
    x = build.conv(x, name, hidden, kernel, block.stride, hidden, name, f"{key}.bn{norm}")
    x = build.elementwise(block.activation, f"{key}.act{norm}", x)
    if block.se_channels:
        x = _squeeze_excite(build, x, f"{key}.se", block.se_channels)
    name = f"{key}.conv_pwl" if hidden != in_channels else f"{key}.conv_pw"
    x = build.conv(x, name, block.out_channels, weight=name, norm=f"{key}.bn{norm + 1}")
    if is_identity_shortcut(block, in_channels):
        x = build.elementwise("add", f"{key}.add", x, source)
    return x


_BLOCKS: dict[type[Block], Callable[[GraphBuilder, int, str, Any], int]] = {
    GhostBlock: add_ghost_block,
    MobileBlock: _mobile_block,
}
