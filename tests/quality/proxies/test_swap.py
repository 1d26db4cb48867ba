"""SWAP-Score against the definition of the paper, on torch modules."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from gnv2_nas.arch import Architecture, MobileBlock
from gnv2_nas.arch.presets import ghostnet
from gnv2_nas.quality import ESTIMATORS
from gnv2_nas.quality.proxies.swap import SwapScore
from tests.quality.proxies.networks import GHOST, MOBILE
from tests.quality.proxies.random_models import model_and_images, outputs_of


@torch.no_grad()
def count_patterns(arch: Architecture, images: int, seed: int) -> int:
    """Peng et al. (2024), definition 3.2: the number of distinct patterns of rectifier outputs."""
    generator = torch.Generator().manual_seed(seed)
    model, batch = model_and_images(arch, images, generator, images_first=True)
    rectifiers = [n for n, m in model.named_modules() if isinstance(m, nn.ReLU | nn.Hardswish)]
    outputs = outputs_of(model, rectifiers)
    model(batch)
    columns = torch.cat([(outputs[name] > 0).flatten(1) for name in rectifiers], dim=1).T
    return len({tuple(column) for column in columns.tolist()})


@pytest.mark.parametrize("arch", [GHOST, MOBILE], ids=["ghost", "mobile"])
def test_scores_as_in_the_paper_at_half_of_the_resolution(arch):
    full = arch.replace(resolution=2 * arch.resolution)
    for seed in range(2):
        score = SwapScore(images=10, seed=seed).score(full)
        # A rectifier whose input is a rounding error from 0 may fall either way.
        assert score == pytest.approx(math.log(count_patterns(arch, 10, seed)), abs=0.01)


def test_all_images_count():
    """With few images all patterns occur; each further image separates more of them."""
    scores = [SwapScore(images=images).score(GHOST) for images in (2, 8, 32)]
    assert scores[0] == pytest.approx(math.log(4))
    assert scores[0] < scores[1] < scores[2]


def test_a_network_that_reacts_to_no_image_has_one_pattern():
    blind = Architecture(
        blocks=(MobileBlock(1, 1, kernel=1, stride=2),),
        stem_channels=1, conv_channels=1, head_channels=1, resolution=17, num_classes=1,
    )  # fmt: skip
    assert 0 <= SwapScore().score(blind) < SwapScore().score(GHOST) / 2


def test_draws_agree_within_the_noise_on_the_label():
    arch = ghostnet(0.5, dfc=True).replace(resolution=96)
    scores = torch.tensor([SwapScore(seed=seed).score(arch) for seed in range(4)])
    assert 0 < scores.std() < ESTIMATORS["swap"].noise
