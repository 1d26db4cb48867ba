"""NASWOT against the formula of the paper, on torch modules."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from gnv2_nas.arch import Architecture, MobileBlock
from gnv2_nas.arch.presets import ghostnet
from gnv2_nas.quality import ESTIMATORS
from gnv2_nas.quality.proxies.naswot_synflow import NaswotScore
from tests.quality.proxies.networks import GHOST, MOBILE
from tests.quality.proxies.random_models import model_and_images, outputs_of


@torch.no_grad()
def naswot(arch: Architecture, images: int, seed: int) -> float:
    """Mellor et al. (2021), eq. 2: K_H[i, j] = N_A - d_H(c_i, c_j), codes of all rectifiers; and
    one more on the diagonal, so that no determinant is 0."""
    generator = torch.Generator().manual_seed(seed)
    model, batch = model_and_images(arch, images, generator, images_first=True)
    rectifiers = [n for n, m in model.named_modules() if isinstance(m, nn.ReLU | nn.Hardswish)]
    outputs = outputs_of(model, rectifiers)
    model(batch)
    codes = torch.cat([(outputs[name] > 0).flatten(1) for name in rectifiers], dim=1)
    kernel = torch.tensor([[float((a == b).sum()) for b in codes] for a in codes]).double()
    sign, log_determinant = torch.linalg.slogdet(kernel + torch.eye(images))
    assert sign == 1
    return float(log_determinant)


@pytest.mark.parametrize("arch", [GHOST, MOBILE], ids=["ghost", "mobile"])
def test_scores_as_in_the_paper(arch):
    for seed in range(2):
        score = NaswotScore(images=6, seed=seed).score(arch)
        # A rectifier whose input is a rounding error from 0 may fall either way.
        assert score == pytest.approx(naswot(arch, images=6, seed=seed), abs=0.01)


def test_images_that_are_all_alike_to_it_make_a_low_score():
    blind = Architecture(
        blocks=(MobileBlock(1, 1, kernel=1, stride=2),),
        stem_channels=1, conv_channels=1, head_channels=1, resolution=17, num_classes=1,
    )  # fmt: skip
    assert 0 < NaswotScore().score(blind) < NaswotScore().score(GHOST) / 2


def test_wider_networks_score_higher():
    small = [ghostnet(width, dfc=True).replace(resolution=64) for width in (0.5, 1.0, 1.6)]
    scores = [NaswotScore().score(arch) for arch in small]
    assert scores == sorted(scores)
    # Twice as many rectifiers: log 2 for each of the eight images.
    assert scores[1] - scores[0] == pytest.approx(8 * math.log(2), abs=0.5)


def test_draws_agree_within_the_noise_on_the_label():
    arch = ghostnet(0.5, dfc=True).replace(resolution=96)
    scores = torch.tensor([NaswotScore(seed=seed).score(arch) for seed in range(6)])
    assert 0 < scores.std() < ESTIMATORS["naswot"].noise
