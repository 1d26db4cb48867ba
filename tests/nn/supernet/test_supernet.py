"""The supernet: every network's weights are slices of the shared ones, each its own."""

from __future__ import annotations

import math
import random

import pytest
import torch
from hypothesis import assume, given, settings
from torch import Tensor

from gnv2_nas.arch import Architecture, GhostBlock, GhostModule, block_keys
from gnv2_nas.errors import CheckpointError, InputError
from gnv2_nas.graph import lower
from gnv2_nas.graph.compatibility import expected_shapes
from gnv2_nas.nn import run_graph
from gnv2_nas.nn.supernet import Supernet, recalibrate, shared_layers
from gnv2_nas.space import load_space
from tests.networks import difference
from tests.supernets import fresh_supernet, narrow_networks, narrow_space, random_images

SUPERNET = fresh_supernet()


def statistics_of(arch: Architecture, supernet: Supernet = SUPERNET) -> dict[str, Tensor]:
    batches = [random_images(arch, 4, seed) for seed in range(2)]
    return recalibrate(arch, supernet.tensors(arch), batches)


@settings(max_examples=50, deadline=None)
@given(narrow_networks())
def test_a_network_has_the_weights_of_its_module(arch: Architecture) -> None:
    tensors = SUPERNET.tensors(arch)
    shapes = {
        key: shape for key, shape in expected_shapes(lower(arch)).items() if "running" not in key
    }
    assert {key: tuple(value.shape) for key, value in tensors.items()} == shapes


@settings(max_examples=12, deadline=None)
@given(narrow_networks())
def test_taken_out_it_gives_the_same_logits(arch: Architecture) -> None:
    statistics, images = statistics_of(arch), random_images(arch)
    model = SUPERNET.extract(arch, statistics)
    assert not model.training
    with torch.no_grad():
        inside = run_graph(lower(arch), SUPERNET.tensors(arch), images, statistics=statistics)
        # Inside, batch norm is folded into the convolutions, which rounds otherwise.
        assert difference(model(images), inside) < 2e-5
        model.train().dropout.p = 0.0
        assert difference(model(images), SUPERNET(images, arch)) < 1e-6


@settings(max_examples=15, deadline=None)
@given(narrow_networks())
def test_every_weight_of_a_network_is_a_shared_weight_of_its_own(arch: Architecture) -> None:
    """No shared weight serves twice in one network: as many get a gradient as the network has."""
    supernet = Supernet(narrow_space().supernet_spec)
    tensors = supernet.tensors(arch)
    total: Tensor = sum(tensor.sum() for tensor in tensors.values())  # type: ignore[assignment]
    total.backward()
    used = 0
    for name, parameter in supernet.named_parameters():
        if parameter.grad is not None and ".transform." not in name:
            assert set(parameter.grad.unique().tolist()) <= {0.0, 1.0}, name
            used += int(parameter.grad.sum())
    assert used == sum(math.prod(tensor.shape) for tensor in tensors.values())


@settings(max_examples=10, deadline=None)
@given(narrow_networks())
def test_exactly_the_weights_of_the_network_learn(arch: Architecture) -> None:
    learned, used = fresh_supernet(), fresh_supernet()
    images = random_images(arch, 8)
    torch.nn.functional.cross_entropy(learned(images, arch), torch.arange(8) % 5).backward()
    sum(tensor.sum() for tensor in used.tensors(arch).values()).backward()  # type: ignore[union-attr]
    for (name, parameter), marked in zip(
        learned.named_parameters(), used.parameters(), strict=True
    ):
        if marked.grad is None:
            assert parameter.grad is None, name
        else:
            assert parameter.grad is not None, name
            assert (parameter.grad[marked.grad == 0] == 0).all(), name


# Tensors with one value for each channel of a block's hidden map or output.
HIDDEN = (
    "bn_dw.bias", "se.conv_expand.bias", "ghost1.short_conv.1.bias", "ghost1.short_conv.3.bias",
    "ghost1.short_conv.5.bias", "se.conv_reduce.weight", "ghost2.primary_conv.0.weight",
    "ghost2.short_conv.0.weight",
)  # fmt: skip
OUT = ("shortcut.3.bias", "ghost2.short_conv.1.bias", "ghost2.short_conv.5.bias")


@settings(max_examples=30, deadline=None)
@given(narrow_networks(), narrow_networks())
def test_what_two_networks_share_is_the_same_channel(
    one: Architecture, other: Architecture
) -> None:
    """Whatever width and ratio: what reads, gates or follows copy c of primary g is the same."""
    first, second = known_channels(one), known_channels(other)
    common = first.keys() & second.keys()
    assert common
    assert all(first[identity] == second[identity] for identity in common)


def known_channels(arch: Architecture) -> dict[tuple[int, str, int, int], float]:
    """(slot, tensor, primary channel, copy or -1) → its value for that channel."""
    tensors, found = SUPERNET.tensors(arch), {}
    positions = narrow_space().supernet_spec.find_positions(arch)
    for position, key, block in zip(positions, block_keys(arch), arch.blocks, strict=False):
        assert isinstance(block, GhostBlock)
        places = [(name, block.hidden_channels, block.ghost1.ratio) for name in HIDDEN]
        places += [(name, block.out_channels, block.ghost2.ratio) for name in OUT]
        for name, channels, ratio in places:
            if f"{key}.{name}" not in tensors:
                continue
            tensor = tensors[f"{key}.{name}"]
            values = tensor[0].flatten().tolist() if name.endswith("weight") else tensor.tolist()
            for (primary, copy), value in zip(identities(channels, ratio), values, strict=True):
                found[position, name, primary, copy] = value
    return found


def identities(channels: int, ratio: int) -> list[tuple[int, int]]:
    """(primary channel, -1 for itself or its copy's number) of each channel of a Ghost output."""
    primary = -(-channels // ratio)
    copies = [(number, copy) for number in range(primary) for copy in range(ratio - 1)]
    return [*((number, -1) for number in range(primary)), *copies][:channels]


@settings(max_examples=10, deadline=None)
@given(narrow_networks(), narrow_networks())
def test_cheap_filters_belong_to_their_channel(one: Architecture, other: Architecture) -> None:
    found = []
    for arch in (one, other):
        tensors, filters = SUPERNET.tensors(arch), {}
        positions = narrow_space().supernet_spec.find_positions(arch)
        for position, key, block in zip(positions, block_keys(arch), arch.blocks, strict=False):
            assert isinstance(block, GhostBlock)
            norm = tensors[f"{key}.ghost1.cheap_operation.1.bias"].tolist()
            owners = identities(block.hidden_channels, block.ghost1.ratio)
            if not block.ghost1.adds:
                copies = block.ghost1.ratio - 1
                owners = [divmod(place, copies) for place in range(len(norm))]
            for owner, value in zip(owners, norm, strict=True):
                filters[position, block.ghost1.adds, *owner] = value
        found.append(filters)
    common = found[0].keys() & found[1].keys()
    assume(common)
    assert all(found[0][identity] == found[1][identity] for identity in common)


def test_the_stem_adds_like_to_like() -> None:
    """Its channels are those of the first block's output, which they are added to."""
    space, supernet = narrow_space(), SUPERNET
    params = space.largest() | {"width.stage1": 0.2, "divisor": 8, "depth.stage1": 0}
    params |= {"ghost.block0": "concat"}
    by_ratio = {
        ratio: supernet.tensors(space.decode(params | {"ghost_ratio.block0": ratio}))
        for ratio in (2, 4)
    }
    stems = {ratio: tensors["bn1.bias"].tolist() for ratio, tensors in by_ratio.items()}
    # Of 8 channels ratio 2 has 4 primary ones, ratio 4 has 2, and 3 copies of each.
    assert stems[2][:2] == stems[4][:2]
    assert stems[2][4:6] == [stems[4][2], stems[4][5]]
    assert len({*stems[2], *stems[4]}) == 12


def test_small_kernels_are_the_centre_of_large_ones_until_trained() -> None:
    space = narrow_space()
    supernet = Supernet(space.supernet_spec)
    key = "blocks.1.0.conv_dw.weight"
    small, large = (space.decode(space.largest() | {"kernel.block1": kernel}) for kernel in (3, 5))
    centre = supernet.tensors(large)[key][:, :, 1:4, 1:4]
    assert torch.equal(supernet.tensors(small)[key], centre)
    transform = dict(supernet.named_parameters())["blocks.3.depthwise.transform.3x3"]
    torch.nn.init.eye_(transform)
    assert torch.equal(supernet.tensors(small)[key], 2 * centre)
    assert torch.equal(supernet.tensors(large)[key][:, :, 1:4, 1:4], centre)


@pytest.mark.parametrize("name", ["tiny", "mobile", "repghost"])
def test_built_in_spaces(name: str) -> None:
    space = load_space(name)
    with torch.device("meta"):
        supernet = Supernet(space.supernet_spec)
    rng = random.Random(0)
    for arch in (space.decode(space.largest()), *(space.sample(rng) for _ in range(5))):
        shapes = expected_shapes(lower(arch))
        for key, tensor in supernet.tensors(arch).items():
            assert tuple(tensor.shape) == shapes[key]


def test_the_largest_network_shares_without_a_copy() -> None:
    space = load_space("tiny").with_classes(3)
    supernet = Supernet(space.supernet_spec)
    tensors = supernet.tensors(space.decode(space.largest() | {"divisor": 16}))
    own = {parameter.data_ptr() for parameter in supernet.parameters()}
    assert tensors["classifier.weight"].data_ptr() in own
    shared = sum(tensor.numel() for tensor in tensors.values() if tensor.data_ptr() in own)
    assert shared > 0.9 * sum(tensor.numel() for tensor in tensors.values())


def test_a_network_may_be_trained_after_it_was_scored() -> None:
    """Scoring runs in inference mode, and nothing made there may be left for training."""
    supernet = fresh_supernet()
    space = narrow_space()
    networks = [space.sample(random.Random(seed)) for seed in range(70_000, 70_008)]
    clear_channels()
    with torch.inference_mode():
        for arch in networks:
            supernet.tensors(arch)
    for arch in networks:
        supernet(random_images(arch), arch).sum().backward()


def clear_channels() -> None:
    """As in a fresh process."""
    for remembered in (
        shared_layers.first_channels,
        shared_layers.ghost_channels,
        shared_layers.cheap_channels,
    ):
        remembered.cache_clear()


def test_an_extracted_network_is_a_copy() -> None:
    arch = narrow_space().sample(random.Random(3))
    supernet = fresh_supernet()
    statistics, images = statistics_of(arch, supernet), random_images(arch)
    model = supernet.extract(arch, statistics)
    with torch.no_grad():
        before = model(images)
        for parameter in supernet.parameters():
            parameter.zero_()
        for value in statistics.values():
            value.zero_()
        assert torch.equal(model(images), before)
    model.train()(images).sum().backward()
    assert all(parameter.grad is None for parameter in supernet.parameters())


def test_statistics_of_another_network_are_refused() -> None:
    space = narrow_space()
    small, large = space.decode(space.smallest()), space.decode(space.largest())
    with pytest.raises(CheckpointError, match=r"does not fit the network: \d+ missing"):
        SUPERNET.extract(large, statistics_of(small))


def test_a_network_outside_is_refused() -> None:
    arch = narrow_space().sample(random.Random(0))
    wide = GhostBlock(500, arch.blocks[0].out_channels, ghost1=GhostModule())
    outside = arch.replace(blocks=(wide, *arch.blocks[1:]))
    with pytest.raises(InputError, match=r"blocks\[0\].hidden_channels: at most \d+, but got 500"):
        SUPERNET.tensors(outside)


@settings(max_examples=20, deadline=None)
@given(narrow_networks())
def test_channels_last_trains_on_the_same_logits(arch: Architecture) -> None:
    images = random_images(arch, 8)
    with torch.no_grad():
        found = SUPERNET(images.contiguous(memory_format=torch.channels_last), arch)
        assert difference(found, SUPERNET(images, arch)) < 1e-3
