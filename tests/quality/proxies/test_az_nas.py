"""AZ-NAS against the definition of its four proxies, on torch modules."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from gnv2_nas.arch import DFC, Architecture, GhostBlock, GhostModule, MobileBlock, block_keys
from gnv2_nas.graph import count
from gnv2_nas.quality import ESTIMATORS
from gnv2_nas.quality.proxies.az_nas import AzNasScore, Proxies, measure_proxies, smooth_rank
from tests.quality.proxies.random_models import model_and_images, outputs_of
from tests.quality.small_space import small_space

GHOST = Architecture(
    blocks=(
        GhostBlock(24, 16, stride=2, se_channels=4, ghost1=GhostModule(dfc=DFC())),
        GhostBlock(24, 16),
        GhostBlock(48, 24, stride=2),
    ),
    stem_channels=8, conv_channels=32, head_channels=16, num_classes=3, resolution=32,
)  # fmt: skip
MOBILE = GHOST.replace(blocks=(MobileBlock(24, 12, stride=2, se_channels=4), MobileBlock(24, 12)))


def entropy(features: Tensor) -> float:
    """Lee & Ham (2024): of the normalised eigenvalues of the channels' covariance."""
    covariance = features.movedim(1, 0).flatten(1).double().cov()
    shares = torch.linalg.eigvalsh(covariance).clamp_min(0)
    shares = shares / shares.sum()
    return float(torch.special.entr(shares).sum())


def spectral_norm(source: Tensor, output: Tensor, generator: torch.Generator) -> float:
    """Of the mean over images and positions of (Jᵀg) gᵀ, g random signs."""
    signs = torch.randint(0, 2, output.shape, generator=generator) * 2.0 - 1
    (gradient,) = torch.autograd.grad(output, source, signs, retain_graph=True)
    gradient = F.pixel_unshuffle(gradient, gradient.shape[-1] // signs.shape[-1])
    jacobian = torch.einsum("nihw,nohw->io", gradient, signs) / signs[:, 0].numel()
    return float(torch.linalg.svdvals(jacobian)[0])


def proxies(arch: Architecture, images: int, seed: int) -> Proxies:
    generator = torch.Generator().manual_seed(seed)
    model, batch = model_and_images(arch, images, generator, images_first=False)
    *keys, _ = block_keys(arch)
    features = outputs_of(model, ["act1", *keys])
    model(batch)
    maps = [features[name] for name in ("act1", *keys)]
    entropies = [entropy(one.detach()) for one in maps]
    norms = [spectral_norm(source, output, generator) for source, output in pairwise(maps)]
    return Proxies(
        sum(entropies),
        min(after - before for before, after in pairwise(entropies)),
        sum(2 - norm - 1 / norm for norm in norms) / len(norms),
        count(arch).macs,
    )


@pytest.mark.parametrize("arch", [GHOST, MOBILE], ids=["ghost", "mobile"])
def test_the_proxies_are_those_of_the_paper(arch):
    found = measure_proxies(arch, arch.resolution, images=6, seed=1)
    assert found == pytest.approx(proxies(arch, images=6, seed=1), rel=1e-3, abs=1e-4)


def test_complexity_alone_is_of_the_networks_own_resolution():
    small = measure_proxies(GHOST, 32, images=2, seed=0)
    large = measure_proxies(GHOST.replace(resolution=64), 32, images=2, seed=0)
    assert large[:3] == small[:3]
    assert large.complexity > 3 * small.complexity


def test_more_of_one_proxy_is_a_higher_score():
    score = AzNasScore(small_space()).score
    assert score(GHOST.replace(resolution=48)) > score(GHOST)


def test_a_rank_is_the_share_that_is_no_better():
    population = [float(value) for value in range(31)]
    assert smooth_rank(15.0, population) == pytest.approx(16.5 / 32)
    assert smooth_rank(-1000.0, population) == pytest.approx(1 / 32)
    assert smooth_rank(1000.0, population) == pytest.approx(1.0)


def test_ranks_tell_values_apart_between_and_beyond_the_population():
    population = [1.0, 2.0, 3.0, 5.0, 8.0]
    values = [-2.0, 0.5, 2.1, 2.2, 7.9, 8.1, 12.0]
    ranks = [smooth_rank(value, population) for value in values]
    assert ranks == sorted(set(ranks))
    assert 0 < ranks[0] < ranks[-1] < 1


def test_one_dead_network_in_the_population_changes_no_order_of_the_others():
    population = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]
    usual = smooth_rank(4.5, population) - smooth_rank(3.5, population)
    with_dead = [-1e6, *population[1:]]
    assert smooth_rank(4.5, with_dead) - smooth_rank(3.5, with_dead) > usual / 2


def test_a_population_of_equals_is_ranked_against_all_the_same():
    assert smooth_rank(2.0, [1.0] * 4) > smooth_rank(1.0, [1.0] * 4)


def test_draws_agree_within_the_noise_on_the_label():
    arch = small_space().decode(small_space().centre())
    draws = [AzNasScore(small_space(), seed=seed).score(arch) for seed in range(2)]
    assert 0 < torch.tensor(draws).std() < ESTIMATORS["az-nas"].noise
