"""SynFlow against the formula of the paper and the law that it obeys."""

from __future__ import annotations

import math

import pytest
import torch
from msgspec.structs import replace
from torch import nn

from gnv2_nas.arch import DFC, Architecture, GhostBlock, GhostModule, MobileBlock
from gnv2_nas.quality.proxies.naswot_synflow import SynFlowScore
from tests.quality.proxies.random_models import model_and_images

BLOCK = GhostBlock(24, 16, stride=2)
GHOST = Architecture(
    blocks=(BLOCK, replace(BLOCK, stride=1)),
    stem_channels=8, conv_channels=32, head_channels=16, num_classes=3, resolution=33,
)  # fmt: skip


def positive_model(arch: Architecture, seed: int) -> nn.Module:
    """The module with absolute weights in float64 and batch norms that do nothing."""
    generator = torch.Generator().manual_seed(seed)
    model, _ = model_and_images(arch, 1, generator, images_first=False)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eps = 0.0
    for parameter in model.parameters():
        parameter.data = parameter.data.double().abs()
    return model.double().eval()


def synaptic_flow(arch: Architecture, seed: int) -> float:
    """Tanaka et al. (2020), eq. 4, over the weights of convolutions and linear layers."""
    model = positive_model(arch, seed)
    ones = torch.ones(1, 3, arch.resolution, arch.resolution, dtype=torch.float64)
    model(ones).sum().backward()
    weights = [m.weight for m in model.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    return sum((weight * weight.grad).abs().sum().item() for weight in weights)


def mean_weight(fan_in: int) -> float:
    """E|θ| of weights with variance 2 / fan-in."""
    return 2 / math.sqrt(math.pi * fan_in)


def test_it_is_the_mean_of_the_papers_sum_over_random_weights():
    flows = torch.tensor([synaptic_flow(GHOST, seed) for seed in range(100)], dtype=torch.float64)
    deviation = float(flows.std() / flows.mean()) / 10
    assert deviation < 0.05
    mean = flows.mean().log().item()
    assert SynFlowScore().score(GHOST) == pytest.approx(mean, abs=3 * deviation)


def test_flow_is_conserved_from_layer_to_layer():
    """Theorem 1: without biases every layer of a chain of ReLUs carries all of R."""
    kernels_of_one = MobileBlock(6, 5, kernel=1, stride=2)
    arch = Architecture(
        blocks=(kernels_of_one,), stem_channels=4, conv_channels=7, head_channels=8,
        num_classes=3, resolution=17,
    )  # fmt: skip
    fan_ins = [27, 4, 1, 6, 5, 7, 8]
    flow = 3 * math.prod(fan_in * mean_weight(fan_in) for fan_in in fan_ins)
    # In two of the five rows and columns that are read a third of the stem's kernel is outside.
    flow *= (13 / 15) ** 2
    assert SynFlowScore().score(arch) == pytest.approx(math.log(len(fan_ins) * flow), rel=1e-9)


def test_gates_do_not_count():
    attended = replace(BLOCK, se_channels=4, ghost1=GhostModule(dfc=DFC()))
    gated = GHOST.replace(blocks=(attended, GHOST.blocks[1]))
    assert SynFlowScore().score(gated) == SynFlowScore().score(GHOST)


def test_wide_and_deep_networks_do_not_overflow():
    deep = GHOST.replace(blocks=(BLOCK, *[replace(BLOCK, stride=1, hidden_channels=512)] * 60))
    assert math.isfinite(SynFlowScore().score(deep))
    assert SynFlowScore().score(deep) > 88  # the largest logarithm in float32
