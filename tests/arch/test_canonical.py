"""What cannot change the output is written one way: each rule, and the networks it equates.

Blocks alone are not canonical, architectures are: the module of a block as written is compared
with the module of the block its architecture keeps, the latter with the former's weights.
"""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from msgspec.structs import replace
from torch import nn

from gnv2_nas.arch import (
    DFC,
    Architecture,
    Block,
    GhostBlock,
    GhostModule,
    MobileBlock,
    output_side,
)
from gnv2_nas.graph.weights import centre_crop
from gnv2_nas.nn import DepthwiseSeparable, GhostBottleneck, InvertedResidual
from tests.networks import difference, randomize
from tests.strategies import architectures, ghost_blocks, mobile_blocks

IN_CHANNELS = 4


def kept(block: Block, side: int) -> Block:
    """The canonical form of a block whose input is `side` pixels wide."""
    arch = Architecture((block,), stem_channels=IN_CHANNELS, resolution=2 * side)
    return arch.blocks[0]


def module(block: Block) -> nn.Module:
    if isinstance(block, GhostBlock):
        return GhostBottleneck(IN_CHANNELS, block)
    if block.hidden_channels == IN_CHANNELS:
        return DepthwiseSeparable(IN_CHANNELS, block)
    return InvertedResidual(IN_CHANNELS, block)


def assert_same_network(written: Block, canonical: Block, side: int) -> None:
    """Both compute the same from the same weights: taps on padding and cut channels left out."""
    torch.manual_seed(0)
    first, second = randomize(module(written)), module(canonical).eval()
    weights = first.state_dict()
    for key, own in second.state_dict().items():
        value = weights[key]
        if value.dim():
            value = value[: own.shape[0]]
        weights[key] = centre_crop(value, own.shape) if value.dim() == 4 else value
    second.load_state_dict(weights)
    image = torch.randn(2, IN_CHANNELS, side, side)
    with torch.no_grad():
        assert difference(second(image), first(image)) < 1e-5


def ghost(
    first: GhostModule | None = None,
    second: GhostModule | None = None,
    kernel: int = 3,
    out_channels: int = 6,
    stride: int = 1,
) -> GhostBlock:
    """Eight hidden channels; whatever is not given is plain."""
    modules = first or GhostModule(), second or GhostModule()
    return GhostBlock(8, out_channels, kernel, stride, 0, *modules)


def attended(**fields: object) -> GhostBlock:
    return ghost(GhostModule(dfc=DFC(**fields)))  # type: ignore[arg-type]


# Name → (two ways to write a network, side of the input in pixels).
RULES: dict[str, tuple[Block, Block, int]] = {
    "depthwise kernel": (ghost(kernel=7, stride=2), ghost(kernel=5, stride=2), 3),
    "shortcut kernel": (ghost(kernel=9), ghost(kernel=3), 2),
    "mobile kernel": (MobileBlock(8, 4, kernel=7), MobileBlock(8, 4, kernel=3), 2),
    "separable kernel": (MobileBlock(4, 4, kernel=5), MobileBlock(4, 4, kernel=1), 1),
    "cheap kernel": (
        ghost(GhostModule(cheap_kernel=7)),
        ghost(GhostModule(cheap_kernel=3)),
        2,
    ),
    "cheap kernel after the stride": (
        ghost(second=GhostModule(cheap_kernel=5), stride=2),
        ghost(second=GhostModule(cheap_kernel=1), stride=2),
        2,
    ),
    "attention kernels": (
        attended(kernel_h=9, kernel_w=7, factor=2),
        attended(kernel_h=3, kernel_w=3, factor=2),
        5,
    ),
    "factor above the side": (attended(factor=9), attended(factor=3), 3),
    "attention on one pixel": (
        attended(kernel_h=5, factor=3, resize="bilinear"),
        attended(kernel_h=1, factor=3, resize="nearest"),
        3,
    ),
    "no down-sampling": (
        attended(factor=1, pool="max", resize="bilinear"),
        attended(factor=1),
        6,
    ),
    "one pixel needs no down-sampling": (attended(factor=2, pool="max"), attended(factor=1), 1),
    "kernel of an identity shortcut": (
        ghost(kernel=7, out_channels=4),
        ghost(kernel=3, out_channels=4),
        6,
    ),
    "ratio above the channels": (
        ghost(second=GhostModule(ratio=9)),
        ghost(second=GhostModule(ratio=6)),
        4,
    ),
    "ratio of a single channel": (
        ghost(second=GhostModule(ratio=4), out_channels=1),
        ghost(second=GhostModule(ratio=2), out_channels=1),
        4,
    ),
}


@pytest.mark.parametrize("rule", RULES)
def test_one_network_one_form(rule: str) -> None:
    first, second, side = RULES[rule]
    assert first != second
    assert kept(first, side) == kept(second, side)
    for written in (first, second):
        assert_same_network(written, kept(written, side), side)
    architectures = [
        Architecture((block,), stem_channels=IN_CHANNELS, resolution=2 * side)
        for block in (first, second)
    ]
    assert architectures[0] == architectures[1]
    assert len({arch.id for arch in architectures}) == 1


@pytest.mark.parametrize("rule", RULES)
def test_a_larger_map_tells_them_apart(rule: str) -> None:
    """The rules that depend on the map's size do not fire where they would change the network."""
    first, second, _ = RULES[rule]
    always = {"no down-sampling", "kernel of an identity shortcut"}
    assert (kept(first, 48) == kept(second, 48)) == (rule in always or rule.startswith("ratio"))


@settings(max_examples=25, deadline=None)
@given(ghost_blocks() | mobile_blocks())
@pytest.mark.parametrize("side", [1, 2, 3, 7])
def test_the_canonical_form_computes_the_same(side: int, block: Block) -> None:
    assert_same_network(block, kept(block, side), side)


@settings(max_examples=50, deadline=None)
@given(architectures())
def test_canonical_form_is_a_fixed_point(arch: Architecture) -> None:
    assert replace(arch) == arch
    assert Architecture(**{name: getattr(arch, name) for name in arch.__struct_fields__}) == arch


@pytest.mark.parametrize(
    ("side", "stride", "expected"), [(1, 2, 1), (2, 2, 1), (7, 2, 4), (7, 1, 7)]
)
def test_strided(side: int, stride: int, expected: int) -> None:
    assert output_side(side, stride) == expected
