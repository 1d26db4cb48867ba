"""What does not fit a supernet is refused, and the message names it."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from gnv2_nas.arch import (
    DFC,
    Architecture,
    BlockSpec,
    GhostBlock,
    GhostModule,
    GhostSpec,
    MobileBlock,
    SupernetSpec,
    group_channels,
)
from gnv2_nas.errors import InputError

ATTENTIVE = GhostSpec(ratios=(2, 3), cheap_kernel=5, dfc_kernel_h=5, dfc_kernel_w=7)
PLAIN = GhostSpec(ratios=(2,), cheap_kernel=3)
SPEC = SupernetSpec(
    stem_channels=16,
    conv_channels=64,
    head_channels=32,
    num_classes=10,
    activation="relu",
    resolutions=(32, 64),
    blocks=(
        BlockSpec(48, 16, 3, 1, 0, projects=False, ghost1=PLAIN, ghost2=ATTENTIVE),
        BlockSpec(96, 24, 5, 2, 24, projects=True, ghost1=ATTENTIVE, ghost2=PLAIN),
        BlockSpec(96, 24, 3, 1, 0, projects=False, ghost1=PLAIN, ghost2=PLAIN),
    ),
    positions_by_depth=({1: (0,)}, {1: (1,), 2: (1, 2)}),
)
ARCH = Architecture(
    blocks=(
        GhostBlock(32, 16, ghost2=GhostModule(3, 5, DFC())),
        GhostBlock(96, 24, kernel=5, stride=2, se_channels=24, ghost1=GhostModule(3, 5, DFC(5, 7))),
        GhostBlock(48, 24),
    ),
    stem_channels=16,
    conv_channels=64,
    head_channels=32,
    resolution=64,
    num_classes=10,
)


def changed(index: int, **values: Any) -> Architecture:
    blocks = list(ARCH.blocks)
    blocks[index] = replace(blocks[index], **values)
    return ARCH.replace(blocks=tuple(blocks))


def test_what_fits_gets_its_positions() -> None:
    assert SPEC.find_positions(ARCH) == (0, 1, 2)
    assert SPEC.find_positions(ARCH.replace(blocks=ARCH.blocks[:2], resolution=32)) == (0, 1)


@pytest.mark.parametrize(
    ("arch", "message"),
    [
        (ARCH.replace(stem_channels=17), "stem_channels: at most 16, but got 17"),
        (ARCH.replace(conv_channels=65), "conv_channels: at most 64, but got 65"),
        (ARCH.replace(head_channels=31), "head_channels: must be 32, but got 31"),
        (ARCH.replace(num_classes=11), "num_classes: must be 10, but got 11"),
        (ARCH.replace(activation="hard_swish"), "activation: must be relu, but got hard_swish"),
        (ARCH.replace(resolution=48), "resolution: must be one of 32, 64, but got 48"),
        (ARCH.replace(blocks=ARCH.blocks[:1]), "blocks: 2 stages needed, but got 1"),
        (
            ARCH.replace(blocks=(*ARCH.blocks, ARCH.blocks[-1])),
            "blocks: stage 2 must have 1, 2 blocks, but got 3",
        ),
        (changed(0, stride=2), "blocks[0].stride: must be 1, but got 2"),
        (changed(1, hidden_channels=98), "blocks[1].hidden_channels: at most 96, but got 98"),
        (changed(1, out_channels=26), "blocks[1].out_channels: at most 24, but got 26"),
        (changed(1, se_channels=25), "blocks[1].se_channels: at most 24, but got 25"),
        (changed(1, kernel=7), "blocks[1].kernel: at most 5, but got 7"),
        (changed(2, se_channels=1), "blocks[2].se_channels: at most 0, but got 1"),
        (
            changed(2, out_channels=20),
            "blocks[2].out_channels: must be the 24 of the input, but got 20",
        ),
        (
            changed(2, ghost1=GhostModule(3)),
            "blocks[2].ghost1.ratio: must be one of 2, but got 3",
        ),
        (
            changed(2, ghost2=GhostModule(2, 5)),
            "blocks[2].ghost2.cheap_kernel: at most 3, but got 5",
        ),
        (
            changed(2, ghost2=GhostModule(dfc=DFC())),
            "blocks[2].ghost2.dfc: must be none, but got attention",
        ),
        (
            changed(1, ghost1=GhostModule(dfc=DFC(kernel_h=7))),
            "blocks[1].ghost1.dfc.kernel_h: at most 5, but got 7",
        ),
        (
            ARCH.replace(blocks=(MobileBlock(32, 16), *ARCH.blocks[1:])),
            "blocks[0].type: a Ghost block is needed, but got a mobile block",
        ),
    ],
)
def test_what_does_not_fit_is_named(arch: Architecture, message: str) -> None:
    with pytest.raises(InputError) as raised:
        SPEC.find_positions(arch)
    assert str(raised.value) == message


def test_canonical_clipping_never_leaves_the_supernet() -> None:
    """A ratio above the channels is lowered to their number, which no gene chose."""
    four = replace(PLAIN, ratios=(4,))
    blocks = (replace(SPEC.blocks[0], ghost1=four, ghost2=replace(four, ratios=(2, 4))),)
    supernet_spec = replace(SPEC, blocks=blocks, positions_by_depth=({1: (0,)},))
    block = GhostBlock(3, 3, ghost1=GhostModule(4), ghost2=GhostModule(4))
    arch = ARCH.replace(blocks=(block,), stem_channels=3)
    assert [module.ratio for module in (arch.blocks[0].ghost1, arch.blocks[0].ghost2)] == [3, 3]
    assert supernet_spec.find_positions(arch) == (0,)


def test_groups_hold_every_ratio() -> None:
    assert group_channels(10, (2,)) == (5, 5)
    assert group_channels(9, (2, 3, 4)) == (5, 5, 3, 3)
    assert group_channels(12, (4,)) == (3, 3, 3, 3)


def test_a_position_may_read_what_any_block_before_it_writes() -> None:
    assert SPEC.stem_groups == (8, 8, 6)
    # Position 1 reads position 0, position 2 reads position 1; the last convolution reads either.
    assert SPEC.input_groups() == [(8, 8, 6), (8, 8, 6), (12, 12), (12, 12)]
    skipping = replace(SPEC, positions_by_depth=({1: (0,)}, {1: (1,), 2: (1, 2), 3: (1, 2, 2)}))
    assert skipping.input_groups()[2] == (12, 12)


@pytest.mark.parametrize("text", ["", "[]", '{"stem_channels": 3}', SPEC.to_json()[:-1]])
def test_damaged_json(text: str) -> None:
    with pytest.raises(InputError, match="not a supernet specification in JSON"):
        SupernetSpec.from_json(text)
