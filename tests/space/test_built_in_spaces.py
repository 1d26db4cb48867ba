"""What every built-in space promises."""

from __future__ import annotations

import math
import random
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gnv2_nas.arch import Architecture, GhostBlock, list_presets, preset
from gnv2_nas.space import AXES, SearchSpace, list_spaces, load_space

BUILT_IN = ("ghostnetv2", "mobile", "placement", "repghost", "tiny")
UP_TO_1_6 = {
    "ghostnet-1.0",
    "ghostnetv2-1.0",
    "ghostnetv2-1.3",
    "ghostnetv2-1.6",
    *(f"repghostnet-{width}" for width in ("0.5", "0.58", "0.8", "1.0", "1.11", "1.3", "1.5")),
}
STOCK = {
    "ghostnetv2": UP_TO_1_6,
    "mobile": UP_TO_1_6,
    "placement": {"ghostnet-1.0", "ghostnetv2-1.0"},
    "repghost": UP_TO_1_6,
    "tiny": set(),
}

space_of_name = cache(load_space)
every_space = pytest.mark.parametrize(
    "space", [space_of_name(name) for name in BUILT_IN], ids=BUILT_IN
)


@st.composite
def genotypes(draw: st.DrawFn) -> tuple[SearchSpace, dict]:
    space = space_of_name(draw(st.sampled_from(BUILT_IN)))
    return space, {gene.name: draw(st.sampled_from(gene.choices)) for gene in space.genes}


def test_all_are_listed():
    assert set(BUILT_IN) <= set(list_spaces())


@every_space
def test_description_size_and_genes(space):
    assert 0 < len(space.description) <= 100
    assert space.size == math.prod(len(gene.choices) for gene in space.genes)
    names = [gene.name for gene in space.genes]
    assert len(set(names)) == len(names)
    assert all(len(gene.choices) > 1 and gene.axis in AXES for gene in space.genes)


@every_space
def test_stock_networks_are_contained_exactly(space):
    contained = set()
    for name in list_presets():
        params = space.encode(preset(name))
        if params is not None:
            assert space.decode(params) == preset(name)
            contained.add(name)
    assert contained == STOCK[space.name]


@pytest.mark.parametrize("resolution", [32, 48, 64])
def test_tiny_holds_stock_at_small_resolutions(resolution):
    arch = preset("ghostnetv2-1.0").replace(resolution=resolution, num_classes=10)
    params = space_of_name("tiny").encode(arch)
    assert params is not None
    assert space_of_name("tiny").decode(params) == arch


@settings(max_examples=60, deadline=None)
@given(genotypes())
def test_every_genotype_is_a_canonical_network_and_round_trips(example):
    space, params = example
    arch = space.decode(params)
    assert Architecture.from_json(arch.to_json()) == arch
    assert all(isinstance(block, GhostBlock) for block in arch.blocks)
    assert arch.num_classes == space.num_classes
    found = space.encode(arch)
    assert found is not None
    assert set(found) == set(params)
    assert space.decode(found) == arch


@every_space
def test_samples_repeat_with_their_seed(space):
    def draw(seed: int) -> list[str]:
        rng = random.Random(seed)
        return [space.sample(rng).id for _ in range(5)]

    assert draw(3) == draw(3)
    assert draw(3) != draw(4)
    assert space.sample(random.Random(1)) == space.decode(space.sample_params(random.Random(1)))


@every_space
def test_every_gene_can_change_the_network(space):
    rng = random.Random(0)
    idle = {gene.name: gene for gene in space.genes}
    for _ in range(60):
        params = space.sample_params(rng)
        arch = space.decode(params)
        for name, gene in list(idle.items()):
            if any(space.decode({**params, name: other}) != arch for other in gene.choices):
                del idle[name]
    assert not idle


@every_space
def test_choices_grow_from_smallest_to_largest(space):
    smallest, centre, largest = (
        space.decode(params) for params in (space.smallest(), space.centre(), space.largest())
    )
    for field in ("stem_channels", "conv_channels", "resolution"):
        assert getattr(smallest, field) <= getattr(centre, field) <= getattr(largest, field)
    assert len(smallest.blocks) <= len(centre.blocks) <= len(largest.blocks)
    hidden = [sum(b.hidden_channels for b in a.blocks) for a in (smallest, centre, largest)]
    assert hidden[0] < hidden[1] < hidden[2]
    assert all(b.ghost1.dfc is b.ghost2.dfc is None for b in smallest.blocks)
    assert all(b.ghost1.dfc and b.ghost2.dfc for b in largest.blocks[2:])
    for gene in space.genes:
        assert gene.choices == AXES[gene.axis].sort(reversed(gene.choices))


class FakeTrial:
    """Answers like an optuna trial, and remembers what it was asked."""

    def __init__(self) -> None:
        self.params: dict = {}

    def suggest_categorical(self, name, choices):
        self.params[name] = choices[-1]
        return choices[-1]


@every_space
def test_a_trial_is_asked_for_every_gene(space):
    trial = FakeTrial()
    arch = space.suggest(trial)
    assert list(trial.params) == [gene.name for gene in space.genes]
    assert arch == space.decode(space.largest())
