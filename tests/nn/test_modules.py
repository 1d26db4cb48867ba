"""The modules by themselves: shapes, gates, attention against its definition."""

from __future__ import annotations

from functools import cache
from typing import Literal

import pytest
import torch
from torch import nn

from gnv2_nas.arch import DFC, GhostModule, preset
from gnv2_nas.nn import DFCAttention, FullyConnectedAttention, SqueezeExcite, build_model
from gnv2_nas.nn import GhostModule as GhostModuleNetwork
from tests.networks import PRESETS, difference, random_model


@pytest.mark.parametrize(("height", "width"), [(1, 1), (3, 3), (3, 5), (4, 1)])
def test_full_attention_contains_the_decoupled_one(height: int, width: int) -> None:
    """Kernels that cover the map are full attention with F[p, q] = vertical · horizontal.

    p = (i, j) is the output's position, q = (u, v) the input's: a horizontal kernel of 2m-1 taps
    weighs column v for column j by its tap v - j + (m-1), a vertical one row u for row i alike.
    """
    channels = 3
    torch.manual_seed(0)
    dfc = DFC(kernel_h=2 * height - 1, kernel_w=2 * width - 1, factor=1)
    decoupled = DFCAttention(channels, channels, dfc).eval()
    nn.init.dirac_(decoupled[0].weight)
    for norm in (decoupled[1], decoupled[3], decoupled[5]):
        nn.init.constant_(norm.running_var, 1 - norm.eps)
    horizontal, vertical = decoupled[2].weight[:, 0, 0, :], decoupled[4].weight[:, 0, :, 0]
    full = FullyConnectedAttention(channels, height, width)
    rows = torch.arange(height)[None, :] - torch.arange(height)[:, None] + height - 1
    columns = torch.arange(width)[None, :] - torch.arange(width)[:, None] + width - 1
    weight = torch.einsum("ciu,cjv->cijuv", vertical[:, rows], horizontal[:, columns])
    full.weight.data = weight.reshape(channels, height * width, height * width)
    x = torch.randn(2, channels, height, width)
    with torch.no_grad():
        assert difference(decoupled(x), torch.sigmoid(full(x))) < 1e-5


def test_full_attention_reads_every_position() -> None:
    full = FullyConnectedAttention(2, 3, 4)
    x = torch.randn(1, 2, 3, 4, requires_grad=True)
    full(x)[0, 0, 0, 0].backward()
    assert x.grad is not None
    assert (x.grad[0, 0] != 0).all()
    assert (x.grad[0, 1] == 0).all()


@pytest.mark.parametrize("pool", ["avg", "max"])
@pytest.mark.parametrize("resize", ["nearest", "bilinear"])
@pytest.mark.parametrize("size", [(1, 1), (2, 7), (9, 9), (15, 8)])
def test_gates(
    pool: Literal["avg", "max"], resize: Literal["nearest", "bilinear"], size: tuple[int, int]
) -> None:
    """As large as the features they multiply, in (0, 1), also where the map is below the factor."""
    torch.manual_seed(0)
    attention = DFCAttention(4, 6, DFC(factor=4, pool=pool, resize=resize))
    gates = attention(torch.randn(2, 4, *size))
    assert gates.shape == (2, 6, *size)
    assert ((gates > 0) & (gates < 1)).all()


def test_nearest_gates_are_constant_over_a_window() -> None:
    torch.manual_seed(0)
    attention = DFCAttention(4, 4, DFC(factor=3))
    gates = attention(torch.randn(1, 4, 9, 9))
    blocks = gates.unfold(2, 3, 3).unfold(3, 3, 3).flatten(-2)
    assert (blocks == blocks[..., :1]).all()


@pytest.mark.parametrize("ratio", [2, 3, 4])
@pytest.mark.parametrize("out_channels", [1, 2, 5, 7, 12])
def test_ghost_module_cuts_to_its_channels(out_channels: int, ratio: int) -> None:
    module = GhostModuleNetwork(3, out_channels, GhostModule(ratio=ratio), relu=True)
    out = module(torch.randn(2, 3, 5, 6))
    assert out.shape == (2, out_channels, 5, 6)
    assert (out >= 0).all()


def test_primary_maps_are_part_of_the_output() -> None:
    module = GhostModuleNetwork(3, 8, GhostModule(), relu=False).eval()
    x = torch.randn(1, 3, 4, 4)
    with torch.no_grad():
        assert torch.equal(module(x)[:, :4], module.primary_conv(x))


def test_squeeze_excite_scales_channels() -> None:
    module = SqueezeExcite(6, 2)
    x = torch.rand(1, 6, 3, 3) + 0.5
    scale = (module(x) / x).flatten(2)
    assert torch.allclose(scale, scale[..., :1].expand_as(scale), atol=1e-6)
    assert ((scale >= 0) & (scale <= 1)).all()


@pytest.mark.parametrize("name", PRESETS)
@pytest.mark.parametrize("size", [(1, 1), (31, 33), (32, 32), (65, 40)])
def test_odd_and_small_images(name: str, size: tuple[int, int]) -> None:
    model = stock(name)
    with torch.no_grad():
        logits = model(torch.randn(2, 3, *size))
    assert logits.shape == (2, 10)
    assert torch.isfinite(logits).all()


@cache
def stock(name: str) -> nn.Module:
    return random_model(preset(name).replace(num_classes=10))


def test_fresh_models_train() -> None:
    """In training mode, and every parameter gets a gradient."""
    model = build_model(preset("ghostnetv2-1.0").replace(resolution=64, num_classes=4))
    assert model.training
    model(torch.randn(2, 3, 64, 64)).square().sum().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())
