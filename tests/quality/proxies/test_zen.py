"""The Zen-score against the formula of the paper, written down once more without any trick."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from gnv2_nas.arch import DFC, Architecture, GhostBlock, GhostModule
from gnv2_nas.arch.presets import ghostnet
from gnv2_nas.quality.proxies.zen import ALPHA, ZenScore
from tests.quality.chains import chain


def modules(arch: Architecture, generator: torch.Generator) -> nn.Sequential:
    """The feature extractor of a chain with Gaussian weights and real batch norms."""

    def convolution(before, after, kernel=1, stride=1, groups=1, active=True):
        layer = nn.Conv2d(before, after, kernel, stride, kernel // 2, groups=groups, bias=False)
        nn.init.normal_(layer.weight, generator=generator)
        return [layer, nn.BatchNorm2d(after), *([nn.ReLU()] if active else [])]

    layers = convolution(3, arch.stem_channels, 3, 2)
    channels = arch.stem_channels
    for block in arch.blocks:
        hidden = block.hidden_channels
        layers += convolution(channels, hidden)
        layers += convolution(hidden, hidden, block.kernel, block.stride, groups=hidden)
        layers += convolution(hidden, block.out_channels, active=False)
        channels = block.out_channels
    return nn.Sequential(*layers, *convolution(channels, arch.conv_channels))


def zen_score(arch: Architecture, draws: int, seed: int) -> float:
    """Lin et al. (2021), algorithm 1: log ‖f(x + αε) - f(x)‖ / α + Σ log of the batch norms'
    standard deviations, averaged over weights and images."""
    generator = torch.Generator().manual_seed(seed)
    scores = []
    for _ in range(draws):
        shape = (1, 3, arch.resolution, arch.resolution)
        image = torch.randn(shape, generator=generator)
        noise = torch.randn(shape, generator=generator)
        network = modules(arch, generator).train()
        scale = 0.0
        values = torch.cat([image, image + ALPHA * noise])
        for layer in network:
            if isinstance(layer, nn.BatchNorm2d):
                variance = values.var(dim=(0, 2, 3), unbiased=False)
                scale += 0.5 * math.log(variance.mean())
            values = layer(values)
        distance = torch.linalg.vector_norm(values[0] - values[1]).item()
        scores.append(math.log(distance / ALPHA) + scale)
    return sum(scores) / draws


@pytest.mark.parametrize("arch", [chain(8, 12), chain(16, 24, 32), chain(8, 16, resolution=33)])
@torch.inference_mode()
def test_a_plain_chain_scores_as_in_the_paper(arch):
    for seed in range(3):
        score = ZenScore(draws=2, seed=seed).score(arch)
        assert score == pytest.approx(zen_score(arch, draws=2, seed=seed), abs=1e-3)


def test_wider_stock_networks_score_higher():
    scores = [
        ZenScore().score(ghostnet(width, dfc=True).replace(resolution=96))
        for width in (0.5, 1.0, 1.6)
    ]
    assert scores == sorted(scores)
    assert scores[-1] - scores[0] > 1


def test_deeper_networks_score_higher():
    deep, shallow = chain(8, 16, 16, 16), chain(8, 16)
    assert ZenScore().score(deep) > ZenScore().score(shallow) + 1


def test_draws_agree_within_the_noise_the_docstring_admits():
    arch = ghostnet(0.5, dfc=True).replace(resolution=64)
    scores = torch.tensor([ZenScore(seed=seed).score(arch) for seed in range(6)])
    assert 0 < scores.std() < 0.6
    assert scores.unique().numel() == 6


def attended(pool: str = "avg", first: bool = True, second: bool = False) -> Architecture:
    dfc = DFC(pool=pool)
    return Architecture(
        blocks=(
            GhostBlock(
                48, 24, stride=2,
                ghost1=GhostModule(dfc=dfc if first else None),
                ghost2=GhostModule(dfc=dfc if second else None),
            ),
        ) * 2,
        stem_channels=16, conv_channels=96, resolution=64, num_classes=10,
    )  # fmt: skip


def test_attention_is_not_paid_for_merely_being_there():
    plain = ZenScore(draws=8).score(attended(first=False))
    for arch in (attended(), attended(second=True), attended("max")):
        assert abs(ZenScore(draws=8).score(arch) - plain) < 1.5
