"""Statistics of batch norm: measured as torch does, and grossly wrong when another network's."""

from __future__ import annotations

import random

import pytest
import torch
from hypothesis import given, settings
from msgspec.structs import replace
from torch import Tensor, nn

from gnv2_nas.arch import Architecture
from gnv2_nas.errors import InputError
from gnv2_nas.graph import lower
from gnv2_nas.nn import build_model, run_graph
from gnv2_nas.nn.supernet import recalibrate
from tests.networks import random_model
from tests.strategies import architectures
from tests.supernets import fresh_supernet, narrow_space, random_images


def batches_of(arch: Architecture, sizes: tuple[int, ...] = (4, 4, 4)) -> list[Tensor]:
    return [random_images(arch, size, seed) for seed, size in enumerate(sizes)]


@settings(max_examples=25, deadline=None)
@given(architectures())
def test_the_same_as_resetting_torch_and_averaging(arch: Architecture) -> None:
    model = random_model(arch)
    for layer in model.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.reset_running_stats()
            layer.momentum = None
    tensors = model.state_dict()
    found = recalibrate(arch, tensors, batches_of(arch))
    model.train()
    with torch.no_grad():
        for images in batches_of(arch):
            model(images)
    expected = {key: value for key, value in model.state_dict().items() if "running" in key}
    assert found.keys() == expected.keys()
    for key, value in expected.items():
        assert torch.allclose(found[key], value, rtol=1e-4, atol=1e-5), key


def test_nothing_is_left_of_earlier_statistics_or_gradients() -> None:
    arch = narrow_space().sample(random.Random(0))
    tensors = fresh_supernet().tensors(arch)
    first = recalibrate(arch, tensors, batches_of(arch))
    assert not any(value.requires_grad or value.is_inference() for value in first.values())
    again = recalibrate(arch, tensors, iter(batches_of(arch)))
    assert all(torch.equal(first[key], again[key]) for key in first)


def test_a_single_image_has_no_variance_and_is_left_out() -> None:
    arch = narrow_space().sample(random.Random(0))
    tensors = fresh_supernet().tensors(arch)
    with_single = recalibrate(arch, tensors, batches_of(arch, (4, 4, 1)))
    without = recalibrate(arch, tensors, batches_of(arch, (4, 4)))
    assert all(torch.equal(with_single[key], without[key]) for key in without)
    for sizes in ((), (1,), (1, 1)):
        with pytest.raises(InputError, match="a batch of at least 2 images"):
            recalibrate(arch, tensors, batches_of(arch, sizes))


def test_leaving_it_out_is_caught() -> None:
    """With the statistics of the largest network a smaller one of the same positions is ruined, and
    recalibrated ones give back the logits it has by the statistics of the batch itself."""
    space, supernet = narrow_space(), fresh_supernet()
    params = space.largest()
    wide = space.decode(params)
    # Other expansions and attention only: the rest of the network keeps its shapes.
    arch = wide.replace(
        blocks=tuple(
            replace(block, ghost1=replace(block.ghost1, dfc=None), se_channels=0)
            for block in wide.blocks
        )
    )
    images = random_images(arch, 64, 9)
    tensors = supernet.tensors(arch)
    stale = recalibrate(wide, supernet.tensors(wide), [images])
    fresh = recalibrate(arch, tensors, [images])
    with torch.inference_mode():
        true = run_graph(lower(arch), tensors, images)
        recalibrated, left_out = (
            run_graph(lower(arch), tensors, images, statistics=statistics)
            for statistics in (fresh, stale)
        )
    assert agreement(recalibrated, true) > 0.95
    assert agreement(left_out, true) < 0.7
    spread = true.std(0).mean()
    assert (recalibrated - true).abs().mean() < 0.1 * spread
    assert (left_out - true).abs().mean() > 0.5 * spread


def agreement(logits: Tensor, others: Tensor) -> float:
    """Share of images that get the same class."""
    return float((logits.argmax(1) == others.argmax(1)).float().mean())


def test_plain_networks_may_be_recalibrated_too() -> None:
    arch = narrow_space().sample(random.Random(5))
    model = build_model(arch)
    statistics = recalibrate(arch, model.state_dict(), batches_of(arch))
    model.load_state_dict(statistics, strict=False)
    assert all(torch.isfinite(value).all() for value in statistics.values())
