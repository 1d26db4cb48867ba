"""What each axis, scope and override of a space file means."""

from __future__ import annotations

import pickle

import pytest

from gnv2_nas.arch import preset
from gnv2_nas.errors import SpaceError
from gnv2_nas.space import load_space

STOCK = preset("ghostnetv2-1.0")


def test_a_space_that_opens_nothing_is_its_base(space_of):
    for name in ("ghostnet-1.0", "ghostnetv2-1.0", "ghostnetv2-1.3", "ghostnetv2-1.6"):
        space = space_of(f"base: {name}\naxes: {{}}\n")
        assert space.genes == ()
        assert space.size == 1
        assert space.decode({}) == preset(name)


def test_a_single_choice_is_fixed_and_no_gene(space_of):
    space = space_of("base: ghostnetv2-1.0\naxes: {width: {choices: [1.3]}}\n")
    assert space.genes == ()
    assert space.decode({}) == preset("ghostnetv2-1.3")


def test_genes_are_named_after_their_place(space_of):
    space = space_of("""
        base: ghostnetv2-1.0
        axes:
          width: {choices: [1.0, 0.5]}
          ghost_ratio: {per: stage, choices: [2, 4]}
          expansion: {per: block, choices: [4, 2, 3], overrides: {stage1-4: [3], block13: [6]}}
    """)
    assert [gene.name for gene in space.genes] == [
        "width",
        "expansion.block11",
        "expansion.block12",
        "expansion.block14",
        "expansion.block15",
        *(f"ghost_ratio.stage{stage}" for stage in range(1, 6)),
    ]
    assert space.genes[0].choices == (0.5, 1.0)
    assert space.genes[1].choices == (2.0, 3.0, 4.0)
    assert space.genes[-1].choices == (4, 2)


def test_depth_leaves_out_and_repeats_blocks_that_keep_the_shape(space_of):
    space = space_of("""
        base: ghostnetv2-1.0
        axes:
          depth: {per: stage, choices: [0], overrides: {stage4: [-2, 0, 2]}}
    """)
    kept = (*range(8), 9, *range(11, 16))
    assert space.decode({"depth.stage4": -2}).blocks == tuple(STOCK.blocks[i] for i in kept)
    repeated = (*STOCK.blocks[:11], STOCK.blocks[10], STOCK.blocks[10], *STOCK.blocks[11:])
    assert space.decode({"depth.stage4": 2}).blocks == repeated


def test_divisor_rounds_every_channel_but_the_head(space_of):
    space = space_of("base: ghostnetv2-1.0\naxes: {divisor: {choices: [4, 16]}}\n")
    arch = space.decode({"divisor": 16})
    channels = [arch.stem_channels, arch.conv_channels]
    channels += [n for b in arch.blocks for n in (b.hidden_channels, b.out_channels)]
    assert all(count % 16 == 0 for count in channels)
    assert arch.head_channels == 1280


def test_width_per_stage_scales_that_stage(space_of):
    space = space_of("base: ghostnetv2-1.0\naxes: {width: {per: stage, choices: [1.0, 1.6]}}\n")
    wide = preset("ghostnetv2-1.6")
    params = {f"width.stage{stage}": 1.0 for stage in range(1, 6)}
    arch = space.decode(params | {"width.stage5": 1.6})
    assert arch.stem_channels == STOCK.stem_channels
    assert arch.conv_channels == wide.conv_channels
    assert arch.blocks[10].out_channels == STOCK.blocks[10].out_channels
    assert arch.blocks[15].out_channels == wide.blocks[15].out_channels
    assert space.encode(arch) == params | {"width.stage5": 1.6}


def test_axes_that_cannot_matter_open_no_gene(space_of):
    space = space_of("""
        base: ghostnetv2-1.0
        axes:
          kernel: {per: block, choices: [3, 5]}
          placement: {per: stage, choices: [none], overrides: {stage5: [none, first]}}
          dfc_factor: {per: stage, choices: [1]}
          dfc_kernel_h: {per: stage, choices: [3, 5]}
          dfc_pool: {choices: [avg, max]}
    """)
    assert [gene.name for gene in space.genes] == [
        "placement.stage5",
        "dfc_kernel_h.stage5",
        *(f"kernel.block{index}" for index in (1, 3, 5, 9, 11)),
    ]


def test_numbers_of_either_type_decode_alike(space_of):
    space = space_of("base: ghostnetv2-1.0\naxes: {width: {choices: [1, 2]}}\n")
    assert space.decode({"width": 2}).to_json() == space.decode({"width": 2.0}).to_json()


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({}, "gene 'width' is missing"),
        ({"width": 1.1}, r"gene 'width' must be one of 1\.0, 1\.3, but got 1\.1"),
        ({"width": [1.0]}, r"must be one of 1\.0, 1\.3, but got \[1\.0\]"),
        ({"width": 1.0, "widht": 1.3}, "unknown gene 'widht'; did you mean 'width'"),
    ],
)
def test_wrong_genotypes_are_refused(space_of, params, message):
    space = space_of("base: ghostnetv2-1.0\naxes: {width: {choices: [1.0, 1.3]}}\n")
    with pytest.raises(SpaceError, match=f"space 'mine': .*{message}"):
        space.decode(params)


@pytest.mark.parametrize(
    "other",
    [
        STOCK.replace(num_classes=10),
        STOCK.replace(resolution=192),
        STOCK.replace(head_channels=640),
        STOCK.replace(stem_channels=24),
        STOCK.replace(blocks=STOCK.blocks[:-5]),
        STOCK.replace(blocks=(*STOCK.blocks, STOCK.blocks[-1])),
        preset("ghostnet-1.0"),
        preset("mobilenetv3-large-1.0"),
    ],
)
def test_networks_outside_the_space_have_no_genotype(space_of, other):
    space = space_of("base: ghostnetv2-1.0\naxes: {width: {choices: [1.0, 1.3]}}\n")
    assert space.encode(STOCK) == {"width": 1.0}
    assert space.encode(other) is None


def test_content_hash_follows_what_decides_decoding(space_of):
    one = "base: ghostnetv2-1.0\naxes: {width: {choices: [1.0, 1.3]}}\n"
    stock_axis = one.replace("}}", "}, divisor: {choices: [4]}}")
    same = [one, "# hi\ndescription: x\n" + one, one.replace("1.0, 1.3", "1.3, 1"), stock_axis]
    other = [one.replace("1.3", "1.6"), one + "num_classes: 7\n", one.replace("v2-1.0", "v2-1.3")]
    assert len({space_of(text).content_hash for text in same}) == 1
    assert len({space_of(text).content_hash for text in (one, *other)}) == 4


def test_a_space_survives_pickling():
    space = load_space("mobile")
    space.decode(space.centre())
    again = pickle.loads(pickle.dumps(space))  # noqa: S301
    assert again.decode(again.centre()) == space.decode(space.centre())
    assert again.content_hash == space.content_hash


def test_a_genotype_for_other_images_is_the_same_otherwise(space_of):
    axes = "{width: {choices: [0.5, 1.0]}, resolution: {choices: [32, 64]}}"
    space = space_of(f"base: ghostnetv2-1.0\naxes: {axes}\n")
    params = space.largest()
    small = space.at_resolution(params, 32)
    assert space.decode(small) == space.decode(params).replace(resolution=32)
    assert params == space.largest()
    with pytest.raises(SpaceError, match="resolution must be one of 32, 64, but got 48"):
        space.at_resolution(params, 48)


def test_a_space_of_one_resolution_has_no_gene_for_it(space_of):
    axes = "{width: {choices: [0.5, 1.0]}, resolution: {choices: [32]}}"
    space = space_of(f"base: ghostnetv2-1.0\naxes: {axes}\n")
    assert space.at_resolution(space.largest(), 32) == space.largest()
