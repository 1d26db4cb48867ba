"""Zen-score: sensitivity of a random network to its input, without data or training.

Lin et al., "Zen-NAS: A Zero-Shot NAS for High-Performance Image Recognition" (ICCV 2021), eq. 5:
log E‖f(x + αε) - f(x)‖ of the last feature map f of a network with Gaussian weights, computed
with batch norm and corrected for the scales that batch norm removed; without residual links.

The paper leaves some cases of this family open. They are settled so that no operator raises the
score by its mere presence: two concatenated maps contribute their joint energy, not one factor
each; a gate (DFC attention) is scaled to unit energy, so that it does not halve the map;
squeeze-and-excitation is left out, as in the paper's code.

The score is not an accuracy and mostly follows size. Every report shows it beside the number of
parameters.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from gnv2_nas.arch import Architecture
from gnv2_nas.graph import Graph, Op, lower
from gnv2_nas.graph.weights import BATCH_NORM_EPSILON
from gnv2_nas.nn.interpreter import torch_threads
from gnv2_nas.quality.base import ESTIMATORS
from gnv2_nas.quality.proxies.random_network import extract_subgraph, find_last_map

ALPHA = 0.01
"""Size of the perturbation relative to the input's standard deviation (the paper's value)."""

_NO_REACTION = 1e-9
"""Replaces a distance of 0, which occurs if all rectifiers of a tiny network are inactive."""


class _ScaledMap(NamedTuple):
    """A feature map `values · exp(log_scale)`; the scale of untrained networks overflows."""

    values: Tensor
    log_scale: float


class ZenScore:
    """Zen-score of the network at its own resolution.

    Args:
        draws: number of draws of weights and images to average over.
        seed: seed of all random numbers.
    """

    info = ESTIMATORS["zen"]

    def __init__(self, draws: int = 2, seed: int = 0) -> None:
        self.draws = draws
        self.seed = seed

    @torch.inference_mode()
    def score(self, arch: Architecture) -> float:
        """Compute the score, a natural logarithm; differences below about 0.3 are noise."""
        whole = lower(arch)
        graph = extract_subgraph(whole, 0, find_last_map(whole), _is_bypassed)
        generator = torch.Generator().manual_seed(self.seed)
        with torch_threads(1):
            return sum(_log_distance(graph, generator) for _ in range(self.draws)) / self.draws


def _log_distance(graph: Graph, generator: torch.Generator) -> float:
    """log ‖f(x + αε) - f(x)‖ / α for one network with Gaussian weights and one image x."""
    shape = (1, *graph.ops[0].shape)
    image = torch.randn(shape, generator=generator)
    noise = torch.randn(shape, generator=generator)
    features = _run(graph, torch.cat([image, image + ALPHA * noise]), generator)
    plain, disturbed = features.values
    distance = max((plain - disturbed).norm().item(), _NO_REACTION)
    return math.log(distance / ALPHA) + features.log_scale


def _run(graph: Graph, images: Tensor, generator: torch.Generator) -> _ScaledMap:
    """Run `graph` with Gaussian weights."""
    last_uses = graph.last_uses()
    maps: dict[int, _ScaledMap] = {0: _ScaledMap(images, 0.0)}
    for number, op in enumerate(graph.ops[1:], start=1):
        maps[number] = _apply(op, [maps[source] for source in op.inputs], generator)
        for source in set(op.inputs):
            if last_uses[source] == number:
                del maps[source]
    return maps[len(graph.ops) - 1]


def _is_bypassed(op: Op) -> bool:
    """Whether an op is a residual sum or a squeeze-and-excitation."""
    return op.kind == "add" or (op.kind == "mul" and op.role == "se")


def _apply(op: Op, inputs: list[_ScaledMap], generator: torch.Generator) -> _ScaledMap:
    values, log_scale = inputs[0]
    if op.kind == "conv":
        return _convolve(op, inputs[0], generator)
    if op.kind == "concat":
        return _join(inputs)
    if op.kind == "mul":
        gate = inputs[1].values
        return _ScaledMap(values * (gate / gate.square().mean().sqrt()), log_scale)
    if op.kind == "resize":
        return _ScaledMap(F.interpolate(values, size=op.shape[1:], mode=op.mode), 0.0)
    if op.kind in ("avg_pool", "max_pool"):
        pool = F.avg_pool2d if op.kind == "avg_pool" else F.max_pool2d
        return _ScaledMap(pool(values, op.kernel, op.stride), log_scale)
    if op.kind == "slice":
        return _ScaledMap(values[:, : op.shape[0]], log_scale)
    return _ScaledMap(_ACTIVATIONS[op.kind](values), log_scale)


_ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": F.relu,
    "hard_swish": F.hardswish,
    "sigmoid": torch.sigmoid,
}


def _convolve(op: Op, source: _ScaledMap, generator: torch.Generator) -> _ScaledMap:
    weight = torch.randn(op.kernel_shape, generator=generator)
    padding = (op.kernel[0] // 2, op.kernel[1] // 2)
    out = F.conv2d(source.values, weight, None, op.stride, padding, 1, op.groups)
    variance, mean = torch.var_mean(out, dim=(0, 2, 3), correction=0, keepdim=True)
    log_scale = source.log_scale + 0.5 * math.log(variance.mean().item() + BATCH_NORM_EPSILON)
    return _ScaledMap((out - mean) * torch.rsqrt(variance + BATCH_NORM_EPSILON), log_scale)


def _join(parts: list[_ScaledMap]) -> _ScaledMap:
    """Concatenate at the scale of the joint mean energy."""
    channels = sum(part.values.shape[1] for part in parts)
    largest = max(part.log_scale for part in parts)
    energy = sum(
        part.values.shape[1] / channels * math.exp(2 * (part.log_scale - largest)) for part in parts
    )
    log_scale = largest + 0.5 * math.log(energy)
    values = [part.values * math.exp(part.log_scale - log_scale) for part in parts]
    return _ScaledMap(torch.cat(values, dim=1), log_scale)
