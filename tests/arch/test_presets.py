"""The published networks as data: names, identity, structure."""

from __future__ import annotations

import pytest

from gnv2_nas.arch import GhostBlock, MobileBlock, block_keys, list_presets, make_divisible, preset
from gnv2_nas.errors import UnknownNameError

# An id names a network in studies and files of every version: these must never change.
IDS = {
    "ghostnet-1.0": "7c2c1b68eed7",
    "ghostnetv2-1.0": "10fc6ea8efdf",
    "ghostnetv2-1.3": "6ae18f5a9170",
    "ghostnetv2-1.6": "cdc23f7087ec",
    "mobilenetv3-large-0.75": "361704242b3e",
    "mobilenetv3-large-1.0": "a6c21721942f",
    "repghostnet-0.5": "6b5a2cf496fa",
    "repghostnet-0.58": "4a8bbe06c915",
    "repghostnet-0.8": "6aece7108bb3",
    "repghostnet-1.0": "ab193abbadd9",
    "repghostnet-1.11": "28598234ec0f",
    "repghostnet-1.3": "eb7141a5a47a",
    "repghostnet-1.5": "88f01c01caab",
    "repghostnet-2.0": "2df7a87a80cc",
}


def test_names() -> None:
    assert list_presets() == list(IDS)


@pytest.mark.parametrize("name", IDS)
def test_id_is_stable(name: str) -> None:
    assert preset(name).id == IDS[name]


@pytest.mark.parametrize("name", IDS)
def test_family(name: str) -> None:
    assert preset(name).family == name.split("-")[0]


@pytest.mark.parametrize("name", IDS)
def test_made_for_imagenet(name: str) -> None:
    arch = preset(name)
    assert (arch.resolution, arch.num_classes, arch.head_channels) == (224, 1000, 1280)


def test_v2_has_attention_on_the_first_module_of_blocks_2_to_15() -> None:
    for number, block in enumerate(preset("ghostnetv2-1.0").blocks):
        assert isinstance(block, GhostBlock)
        assert (block.ghost1.dfc is not None) == (number >= 2)
        assert block.ghost2.dfc is None


def test_block_table() -> None:
    """Hidden and output channels, squeeze-excite channels and stride of GhostNet 1.0."""
    blocks = preset("ghostnet-1.0").blocks
    assert [(b.hidden_channels, b.out_channels, b.se_channels, b.stride) for b in blocks] == [
        (16, 16, 0, 1), (48, 24, 0, 2), (72, 24, 0, 1), (72, 40, 20, 2), (120, 40, 32, 1),
        (240, 80, 0, 2), (200, 80, 0, 1), (184, 80, 0, 1), (184, 80, 0, 1), (480, 112, 120, 1),
        (672, 112, 168, 1), (672, 160, 168, 2), (960, 160, 0, 1), (960, 160, 240, 1),
        (960, 160, 0, 1), (960, 160, 240, 1),
    ]  # fmt: skip


def test_dead_kernels_are_written_one_way() -> None:
    """A kernel counts only where the block has a depthwise convolution of that size."""
    kernels = [block.kernel for block in preset("ghostnet-1.0").blocks]
    assert kernels == [3, 3, 3, 5, 3, 3, 3, 3, 3, 3, 3, 5, 3, 3, 3, 3]


def test_mobilenet_block_table() -> None:
    blocks = preset("mobilenetv3-large-0.75").blocks
    assert all(isinstance(block, MobileBlock) for block in blocks)
    assert [block.out_channels for block in blocks] == [
        16, 24, 24, 32, 32, 32, 64, 64, 64, 64, 88, 88, 120, 120, 120,
    ]  # fmt: skip


def test_stages_of_ghostnet() -> None:
    keys = block_keys(preset("ghostnetv2-1.0"))
    stages = [int(key.split(".")[1]) for key in keys]
    assert stages == [0, 1, 2, 3, 4, 5, *[6] * 5, 7, *[8] * 4, 9]
    assert keys[6:11] == [f"blocks.6.{index}" for index in range(5)]


def test_stages_of_mobilenet() -> None:
    stages = [int(key.split(".")[1]) for key in block_keys(preset("mobilenetv3-large-1.0"))]
    assert stages == [0, 1, 1, 2, 2, 2, 3, 3, 3, 3, 4, 4, 5, 5, 5, 6]


def test_unknown_preset_names_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match=r"did you mean 'ghostnetv2-1\.0'") as caught:
        preset("ghostnetv2-1.00")
    assert all(name in str(caught.value) for name in IDS)


@pytest.mark.parametrize(
    ("value", "divisor", "expected"),
    [
        (16, 4, 16),
        (1, 4, 4),
        (18, 4, 20),
        (17.9, 4, 20),
        (17.7, 4, 16),
        (11, 8, 16),
        (10, 8, 16),
        (92, 8, 96),
    ],
)
def test_make_divisible(value: float, divisor: int, expected: int) -> None:
    rounded = make_divisible(value, divisor)
    assert rounded == expected
    assert rounded >= 0.9 * value
