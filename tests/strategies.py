"""Hypothesis strategies: random networks of the family, small enough to test by the hundred."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy
from msgspec import UNSET
from msgspec.structs import replace

from gnv2_nas.arch import DFC, Architecture, Block, GhostBlock, GhostModule, MobileBlock

ODD = st.sampled_from([1, 3, 5, 7])
CHANNELS = st.integers(1, 24)
STRIDES = st.sampled_from([1, 2])
RESOLUTIONS = st.integers(17, 96)


def attentions() -> SearchStrategy[DFC]:
    """Any DFC attention: kernels, factor, pooling operator, resize mode."""
    return st.builds(
        DFC,
        kernel_h=st.sampled_from([1, 3, 5, 9]),
        kernel_w=st.sampled_from([1, 3, 5, 9]),
        factor=st.integers(1, 5),
        pool=st.sampled_from(["avg", "max"]),
        resize=st.sampled_from(["nearest", "bilinear"]),
    )


def ghost_modules() -> SearchStrategy[GhostModule]:
    """Ghost, GhostV2 and RepGhost modules."""
    return st.builds(
        GhostModule,
        ratio=st.integers(2, 4),
        cheap_kernel=ODD,
        dfc=st.none() | attentions(),
        merge=st.sampled_from([UNSET, UNSET, "add"]),
    )


def ghost_blocks() -> SearchStrategy[GhostBlock]:
    """Bottlenecks of V1 and V2, attention on none, either or both Ghost modules."""
    return st.builds(
        GhostBlock,
        hidden_channels=CHANNELS,
        out_channels=CHANNELS,
        kernel=ODD,
        stride=STRIDES,
        se_channels=st.sampled_from([0, 0, 1, 4]),
        ghost1=ghost_modules(),
        ghost2=ghost_modules(),
    )


def mobile_blocks() -> SearchStrategy[MobileBlock]:
    """Inverted residuals of MobileNetV3."""
    return st.builds(
        MobileBlock,
        hidden_channels=CHANNELS,
        out_channels=CHANNELS,
        kernel=ODD,
        stride=STRIDES,
        se_channels=st.sampled_from([0, 0, 1, 4]),
        activation=st.sampled_from(["relu", "hard_swish"]),
    )


@st.composite
def architectures(
    draw: st.DrawFn, max_blocks: int = 4, resolutions: SearchStrategy[int] = RESOLUTIONS
) -> Architecture:
    """Networks of one to `max_blocks` blocks for images of 17 to 96 pixels, odd ones included.

    Half of the blocks keep their input's channels, so that identity shortcuts are as frequent
    as others.
    """
    stem = draw(CHANNELS)
    blocks: list[Block] = []
    channels = stem
    for _ in range(draw(st.integers(1, max_blocks))):
        block: Block = draw(ghost_blocks() | ghost_blocks() | mobile_blocks())
        if draw(st.booleans()):
            block = replace(block, out_channels=channels)
        blocks.append(block)
        channels = block.out_channels
    return Architecture(
        blocks=tuple(blocks),
        stem_channels=stem,
        conv_channels=draw(CHANNELS),
        head_channels=draw(CHANNELS),
        activation=draw(st.sampled_from(["relu", "hard_swish"])),
        resolution=draw(resolutions),
        num_classes=draw(st.integers(1, 12)),
    )
