"""GhostNet, GhostNetV2 and RepGhostNet once more: functions of a state dict with the public keys.

Written from the published description and sharing nothing with the package, so that the
package's modules have something independent to agree with: hard sigmoid by relu6, a slice after
every concat, a resize after every gate.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional as F

# Stage → the output channels at width 1.0 and the stride of each of its blocks.
STAGES: tuple[tuple[tuple[int, int], ...], ...] = (
    ((16, 1),),
    ((24, 2),),
    ((24, 1),),
    ((40, 2),),
    ((40, 1),),
    ((80, 2),),
    ((80, 1), (80, 1), (80, 1), (112, 1), (112, 1)),
    ((160, 2),),
    ((160, 1), (160, 1), (160, 1), (160, 1)),
)
HIDDEN = (16, 48, 72, 72, 120, 240, 200, 184, 184, 480, 672, 672, 960, 960, 960, 960)
SQUEEZED = (3, 4, 9, 10, 11, 13, 15)
Weights = Mapping[str, Tensor]


def public_keys(*, attention: bool) -> list[str]:
    """Every key of a public GhostNet 1.0 or (`attention`) GhostNetV2 1.0 checkpoint."""
    keys = ["conv_stem.weight", *_batch_norm("bn1")]
    number, channels = 0, 16
    for stage, blocks in enumerate(STAGES):
        for index, (out_channels, stride) in enumerate(blocks):
            block = f"blocks.{stage}.{index}"
            keys += _ghost_keys(block, attention=attention and number >= 2)
            if stride == 2:
                keys += [f"{block}.conv_dw.weight", *_batch_norm(f"{block}.bn_dw")]
            if number in SQUEEZED:
                for layer in ("conv_reduce", "conv_expand"):
                    keys += [f"{block}.se.{layer}.{part}" for part in ("weight", "bias")]
            if stride == 2 or channels != out_channels:
                for layer in (0, 2):
                    keys += _convolution_and_norm(f"{block}.shortcut", layer)
            number, channels = number + 1, out_channels
    keys += ["blocks.9.0.conv.weight", *_batch_norm("blocks.9.0.bn1")]
    keys += ["conv_head.weight", "conv_head.bias", "classifier.weight", "classifier.bias"]
    return keys


def _ghost_keys(block: str, *, attention: bool) -> list[str]:
    keys = []
    for ghost in ("ghost1", "ghost2"):
        for half in ("primary_conv", "cheap_operation"):
            keys += _convolution_and_norm(f"{block}.{ghost}.{half}", 0)
    for layer in (0, 2, 4) if attention else ():
        keys += _convolution_and_norm(f"{block}.ghost1.short_conv", layer)
    return keys


def _convolution_and_norm(prefix: str, layer: int) -> list[str]:
    return [f"{prefix}.{layer}.weight", *_batch_norm(f"{prefix}.{layer + 1}")]


def _batch_norm(prefix: str) -> list[str]:
    parts = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
    return [f"{prefix}.{part}" for part in parts]


@torch.no_grad()
def public_forward(weights: Weights, image: Tensor) -> Tensor:
    """(N, 3, H, W) → logits (N, 1000), of whichever version the keys are."""
    x = F.relu(_conv_bn(weights, image, "conv_stem", "bn1", 2))
    number = 0
    for stage, blocks in enumerate(STAGES):
        for index, (out_channels, stride) in enumerate(blocks):
            key = f"blocks.{stage}.{index}"
            x = _bottleneck(weights, x, key, HIDDEN[number], out_channels, stride)
            number += 1
    x = F.relu(_conv_bn(weights, x, "blocks.9.0.conv", "blocks.9.0.bn1"))
    x = F.adaptive_avg_pool2d(x, 1)
    x = F.relu(_conv(weights, x, "conv_head"))
    return F.linear(x.flatten(1), weights["classifier.weight"], weights["classifier.bias"])


def _bottleneck(
    weights: Weights, x: Tensor, key: str, hidden: int, out_channels: int, stride: int
) -> Tensor:
    residual = x
    x = _ghost(weights, x, f"{key}.ghost1", hidden, relu=True)
    if stride == 2:
        x = _conv_bn(weights, x, f"{key}.conv_dw", f"{key}.bn_dw", 2)
    if f"{key}.se.conv_reduce.weight" in weights:
        gate = F.adaptive_avg_pool2d(x, 1)
        gate = F.relu(_conv(weights, gate, f"{key}.se.conv_reduce"))
        gate = _conv(weights, gate, f"{key}.se.conv_expand")
        x = x * (F.relu6(gate + 3.0) / 6.0)
    x = _ghost(weights, x, f"{key}.ghost2", out_channels, relu=False)
    if f"{key}.shortcut.0.weight" in weights:
        shortcut = f"{key}.shortcut"
        residual = _conv_bn(weights, residual, f"{shortcut}.0", f"{shortcut}.1", stride)
        residual = _conv_bn(weights, residual, f"{shortcut}.2", f"{shortcut}.3")
    return x + residual


def _ghost(weights: Weights, x: Tensor, key: str, out_channels: int, *, relu: bool) -> Tensor:
    first = _conv_bn(weights, x, f"{key}.primary_conv.0", f"{key}.primary_conv.1")
    first = F.relu(first) if relu else first
    second = _conv_bn(weights, first, f"{key}.cheap_operation.0", f"{key}.cheap_operation.1")
    if f"{key}.fusion_bn.0.weight" in weights:
        out = second + _normalize(weights, first, f"{key}.fusion_bn.0")
        return F.relu(out) if relu else out
    second = F.relu(second) if relu else second
    out = torch.cat([first, second], dim=1)[:, :out_channels, :, :]
    if f"{key}.short_conv.0.weight" not in weights:
        return out
    gate = F.avg_pool2d(x, kernel_size=2, stride=2)
    for layer in (0, 2, 4):
        name = f"{key}.short_conv"
        gate = _conv_bn(weights, gate, f"{name}.{layer}", f"{name}.{layer + 1}")
    return out * F.interpolate(torch.sigmoid(gate), size=out.shape[-2:], mode="nearest")


def _conv(weights: Weights, x: Tensor, key: str, stride: int = 1) -> Tensor:
    kernel = weights[f"{key}.weight"]
    padding = (kernel.shape[2] // 2, kernel.shape[3] // 2)
    groups = x.shape[1] // kernel.shape[1]
    bias = weights.get(f"{key}.bias")
    return F.conv2d(x, kernel, bias, stride, padding, groups=groups)


def _conv_bn(weights: Weights, x: Tensor, conv: str, norm: str, stride: int = 1) -> Tensor:
    return _normalize(weights, _conv(weights, x, conv, stride), norm)


def _normalize(weights: Weights, x: Tensor, norm: str) -> Tensor:
    statistics = weights[f"{norm}.running_mean"], weights[f"{norm}.running_var"]
    affine = weights[f"{norm}.weight"], weights[f"{norm}.bias"]
    return F.batch_norm(x, *statistics, *affine, eps=1e-5)
