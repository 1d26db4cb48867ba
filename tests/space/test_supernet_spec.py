"""The supernet of a space: as large as its networks, and no larger."""

from __future__ import annotations

import random
from collections import defaultdict
from functools import cache
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gnv2_nas.arch import GhostBlock, SupernetSpec, is_identity_shortcut
from gnv2_nas.space import SearchSpace, load_space

BUILT_IN = ("ghostnetv2", "mobile", "placement", "tiny")
space_of_name = cache(load_space)


@settings(max_examples=30, deadline=None)
@given(st.sampled_from(BUILT_IN), st.randoms(use_true_random=False))
def test_every_network_fits(name: str, rng: random.Random) -> None:
    space = space_of_name(name)
    arch = space.sample(rng)
    positions = space.supernet_spec.find_positions(arch)
    assert len(positions) == len(arch.blocks)
    assert list(positions) == sorted(set(positions))


@pytest.mark.parametrize("name", BUILT_IN)
def test_json_round_trip(name: str) -> None:
    supernet_spec = space_of_name(name).supernet_spec
    assert SupernetSpec.from_json(supernet_spec.to_json()) == supernet_spec


SPACES = {
    # 40 channels are 64 in steps of 32 and 40 in steps of 4: the smaller width may be the larger.
    "rounding": """
        base: ghostnetv2-1.0
        axes:
          width: {choices: [0.45, 0.5, 0.55]}
          divisor: {choices: [4, 16, 32]}
          expansion: {choices: [2, 3]}
    """,
    "repeats": """
        base: ghostnetv2-1.0
        axes:
          width: {choices: [0.25]}
          depth: {per: stage, choices: [-1, 0], overrides: {stage1: [0, 2], stage4: [-3, 1]}}
    """,
    # Images large enough that no map clips a kernel.
    "attention": """
        base: ghostnetv2-1.0
        axes:
          resolution: {choices: [448]}
          width: {choices: [0.25]}
          placement: {choices: [none, second], per: stage, overrides: {stage2-5: [first]}}
          dfc_kernel_h: {choices: [5, 9]}
          ghost_ratio: {choices: [2, 3]}
          se_ratio: {choices: [0, 0.5]}
          cheap_kernel: {choices: [1, 5]}
    """,
}


@pytest.mark.parametrize("name", SPACES)
def test_every_limit_is_reached_by_a_network(space_of, name: str) -> None:
    space = space_of(SPACES[name])
    supernet_spec = space.supernet_spec
    most: dict = defaultdict(int)
    for arch in all_networks(space):
        channels = arch.stem_channels
        most["stem_channels"] = max(most["stem_channels"], channels)
        most["conv_channels"] = max(most["conv_channels"], arch.conv_channels)
        for position, block in zip(supernet_spec.find_positions(arch), arch.blocks, strict=True):
            for field, value in values_of(block, channels).items():
                most[position, field] = max(most[position, field], value)
            channels = block.out_channels
    assert (supernet_spec.stem_channels, supernet_spec.conv_channels) == (
        most.pop("stem_channels"),
        most.pop("conv_channels"),
    )
    for index, spec in enumerate(supernet_spec.blocks):
        limits = {
            "hidden_channels": spec.hidden_channels,
            "out_channels": spec.out_channels,
            "se_channels": spec.se_channels,
            "projects": spec.projects,
            "ghost1.ratio": spec.ghost1.ratios[-1],
            "ghost1.cheap_kernel": spec.ghost1.cheap_kernel,
            "ghost1.dfc.kernel_h": spec.ghost1.dfc_kernel_h,
            "ghost2.dfc.kernel_h": spec.ghost2.dfc_kernel_h,
        }
        assert limits == {field: most[index, field] for field in limits}


def values_of(block, in_channels: int) -> dict[str, int]:
    assert isinstance(block, GhostBlock)
    first, second = block.ghost1, block.ghost2
    return {
        "hidden_channels": block.hidden_channels,
        "out_channels": block.out_channels,
        "se_channels": block.se_channels,
        "projects": not is_identity_shortcut(block, in_channels),
        "ghost1.ratio": first.ratio,
        "ghost1.cheap_kernel": first.cheap_kernel,
        "ghost1.dfc.kernel_h": first.dfc.kernel_h if first.dfc else 0,
        "ghost2.dfc.kernel_h": second.dfc.kernel_h if second.dfc else 0,
    }


def all_networks(space: SearchSpace):
    genes = space.genes
    for choices in product(*(gene.choices for gene in genes)):
        yield space.decode(dict(zip((gene.name for gene in genes), choices, strict=True)))


def test_blocks_that_no_network_has_take_no_slot(space_of) -> None:
    space = space_of("""
        base: ghostnetv2-1.0
        axes: {depth: {per: stage, choices: [0], overrides: {stage5: [-4, -3]}}}
    """)
    assert len(space.supernet_spec.blocks) == 11 + 2
    assert space.supernet_spec.positions_by_depth[-1] == {1: (11,), 2: (11, 12)}


def test_other_classes_make_another_space() -> None:
    space = space_of_name("tiny")
    other = space.with_classes(3)
    params = space.centre()
    assert other.decode(params) == space.decode(params).replace(num_classes=3)
    assert other.supernet_spec.num_classes == 3
    assert other.content_hash != space.content_hash
    assert space.with_classes(space.num_classes).content_hash == space.content_hash
    assert space.num_classes == 10
