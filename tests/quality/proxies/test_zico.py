"""ZiCo against the formula of the paper, on torch modules."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from gnv2_nas.arch import Architecture
from gnv2_nas.arch.presets import ghostnet
from gnv2_nas.quality import ESTIMATORS
from gnv2_nas.quality.proxies.zico import ZicoScore
from tests.quality.chains import chain
from tests.quality.proxies.networks import GHOST, MOBILE
from tests.quality.proxies.random_models import model_and_images


def zico(arch: Architecture, batches: int, count: int, seed: int) -> float:
    """Li et al. (2023), eq. 13, layer by layer and weight by weight."""
    generator = torch.Generator().manual_seed(seed)
    model, images = model_and_images(arch, count, generator, images_first=False)
    layers = [m for m in model.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    found: list[list[torch.Tensor]] = []
    for batch in range(batches):
        if batch:
            images = torch.randn(images.shape, generator=generator)
        labels = torch.randint(arch.num_classes, (count,), generator=generator)
        model.zero_grad()
        F.cross_entropy(model(images), labels).backward()
        found.append([layer.weight.grad.double().abs().flatten() for layer in layers])
    total = 0.0
    for gradients in zip(*found, strict=True):
        mean = sum(gradients) / batches
        variance = sum((gradient - mean) ** 2 for gradient in gradients) / batches
        known = variance > 0
        total += math.log(float((mean[known] / variance[known].sqrt()).sum()))
    return total


@pytest.mark.parametrize("arch", [GHOST, MOBILE], ids=["ghost", "mobile"])
def test_scores_as_in_the_paper_at_half_of_the_resolution(arch):
    full = arch.replace(resolution=2 * arch.resolution)
    for seed in range(2):
        score = ZicoScore(batches=3, images=4, seed=seed).score(full)
        assert score == pytest.approx(zico(arch, 3, 4, seed), rel=1e-3)


def test_deeper_and_wider_networks_score_higher():
    narrow, wide = chain(8, 8, 8), chain(16, 16, 16)
    deep = chain(8, 8, 8, 8)
    assert ZicoScore().score(wide) > ZicoScore().score(narrow)
    assert ZicoScore().score(deep) > ZicoScore().score(narrow)


def test_draws_agree_within_the_noise_on_the_label():
    arch = ghostnet(0.5, dfc=True).replace(resolution=96)
    scores = torch.tensor([ZicoScore(seed=seed).score(arch) for seed in range(4)])
    assert 0 < scores.std() < ESTIMATORS["zico"].noise
