"""`run_graph`: executes the operators of a network one after the other, without any module.

`torch_threads` lends a number of threads to one block of code.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import Any, NamedTuple

import torch
from msgspec.structs import replace
from torch import Tensor
from torch.nn import functional as F

from gnv2_nas.arch import Architecture
from gnv2_nas.graph import Graph, Op, lower
from gnv2_nas.graph.weights import BATCH_NORM_EPSILON


@contextmanager
def torch_threads(count: int) -> Iterator[None]:
    """Compute with `count` threads within the block; afterwards restore the previous number."""
    before = torch.get_num_threads()
    if before == count:
        yield
        return
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def is_channels_last(images: Tensor) -> bool:
    """Whether the images are stored pixel by pixel; then all feature maps are, too."""
    return images.is_contiguous(memory_format=torch.channels_last) and not images.is_contiguous()


def convolve(x: Tensor, weight: Tensor, bias: Tensor | None, op: Op) -> Tensor:
    """(N, in_channels, H, W) → (N, out_channels, H', W') by torch's convolution.

    Args:
        x: the input.
        weight: (out_channels, in_channels / groups, kernel_h, kernel_w).
        bias: (out_channels,) or None.
        op: gives kernel, stride and groups; the padding is kernel//2.
    """
    height, width = op.kernel
    return F.conv2d(x, weight, bias, op.stride, (height // 2, width // 2), groups=op.groups)


def convolve_channels_last(x: Tensor, weight: Tensor, bias: Tensor | None, op: Op) -> Tensor:
    """The same in channels-last format; pointwise convolutions run as matrix products. Results
    differ by rounding only."""
    if (*op.kernel, op.stride) == (1, 1, 1):
        if op.groups == 1:
            return _matrix_product(x, weight, bias)
        if op.groups == op.in_channels == op.shape[0]:
            return _product(x, weight, bias)
    return convolve(x, weight, bias, op)


def _matrix_product(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """In channels-last format the pixels of all images are the rows of a matrix."""
    return F.linear(x.permute(0, 2, 3, 1), weight.flatten(1), bias).permute(0, 3, 1, 2)


def _product(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """A 1x1 depthwise convolution scales each channel."""
    scaled = x * weight.view(1, -1, 1, 1)
    return scaled if bias is None else scaled + bias.view(1, -1, 1, 1)


def fold_batch_norm(
    graph: Graph, tensors: Mapping[str, Tensor], statistics: Mapping[str, Tensor]
) -> tuple[Graph, dict[str, Tensor]]:
    """The same network without batch norm: its graph and its weights.

    Args:
        graph: the network.
        tensors: its weights by state dict key.
        statistics: running mean and variance of every batch norm by state dict key.
    """
    weights = dict(tensors)
    for op in graph.ops:
        if op.norm:
            _fold(op, weights, statistics)
    ops = (replace(op, norm="", branch="", bias=True) if op.norm else op for op in graph.ops)
    return Graph(tuple(ops)), weights


def _fold(op: Op, weights: dict[str, Tensor], statistics: Mapping[str, Tensor]) -> None:
    factors, shifts = list[Tensor](), list[Tensor]()
    for norm in op.norms:
        mean, variance = statistics[f"{norm}.running_mean"], statistics[f"{norm}.running_var"]
        scale = weights[f"{norm}.weight"] * (variance + BATCH_NORM_EPSILON).rsqrt()
        factors.append(scale.view(-1, 1, 1, 1))
        shifts.append(weights[f"{norm}.bias"] - mean * scale)
    kernel = weights[f"{op.weight}.weight"] * factors[0]
    for factor in factors[1:]:  # of a batch norm of the input
        kernel = kernel + F.pad(factor, [op.kernel[1] // 2] * 2 + [op.kernel[0] // 2] * 2)
    weights[f"{op.weight}.weight"] = kernel
    weights[f"{op.weight}.bias"] = sum(shifts[1:], shifts[0])


Tensors = Mapping[str, Tensor]
"""State dict key → tensor."""

Branches = Mapping[str, Callable[[Tensor, Tensors, Tensors], Tensor]]

cached_lower: Callable[[Architecture], Graph] = lru_cache(maxsize=256)(lower)
"""`lower` with a cache of the last networks."""


def run_graph(
    graph: Graph,
    tensors: Tensors,
    images: Tensor,
    *,
    statistics: Tensors | None = None,
    momentum: float | None = None,
    dropout: float = 0.0,
    observe: Callable[[Op, Tensor], None] | None = None,
    branches: Branches = MappingProxyType({}),
) -> Tensor:
    """(N, 3, H, W) at the graph's resolution → logits (N, num_classes).

    All feature maps have the memory format of the images. Channels last is faster; its results
    differ from those of the modules by rounding.

    Args:
        graph: the network.
        tensors: its weights, with the keys of `build_model(arch).state_dict()`.
        images: the input; it is not modified.
        statistics: running mean and variance of every batch norm. Without them, batch norm uses
            the statistics of the batch and needs at least two values per channel.
        momentum: if given, batch norm uses the statistics of the batch, and `statistics` move
            towards them by this share in place.
        dropout: probability of dropping a feature before the classifier.
        observe: called with every op and its output; later ops may overwrite the output.
        branches: weight of a convolution → function of its input, `tensors` and `statistics` that
            takes the place of the convolution and its batch norm; see `nn.branches`.
    """
    if statistics is not None and momentum is None:
        graph, tensors = fold_batch_norm(graph, tensors, statistics)
    run = _Run(tensors, statistics, momentum or 0.0, dropout, is_channels_last(images), branches)
    last_uses = graph.last_uses()
    maps: list[Any] = [images, *[None] * (len(graph.ops) - 1)]
    for number, op in enumerate(graph.ops[1:], start=1):
        inputs = [maps[source] for source in op.inputs]
        # An op may overwrite its first input if nothing else reads it, but never the images.
        disposable = last_uses[op.inputs[0]] == number and op.inputs[0] > 0
        maps[number] = output = _OPERATORS[op.kind](_Step(run, op, inputs, disposable))
        if observe is not None:
            observe(op, output)
        for source in op.inputs:
            if last_uses[source] == number:
                maps[source] = None
    logits: Tensor = maps[-1]
    return logits


@dataclass(frozen=True, slots=True)
class _Run:
    """Arguments of `run_graph` that operators need."""

    tensors: Tensors
    statistics: Tensors | None
    momentum: float
    dropout: float
    channels_last: bool
    branches: Branches


class _Step(NamedTuple):
    """One operator and its inputs."""

    run: _Run
    op: Op
    inputs: list[Tensor]
    disposable: bool
    """Whether the first input may be overwritten."""


def _conv(step: _Step) -> Tensor:
    run, op, source = step.run, step.op, step.inputs[0]
    if branches := run.branches.get(op.weight):
        x = branches(source, run.tensors, run.statistics or {})
    else:
        bias = run.tensors[f"{op.weight}.bias"] if op.bias else None
        convolution = convolve_channels_last if run.channels_last else convolve
        x = convolution(source, run.tensors[f"{op.weight}.weight"], bias, op)
        x = _normalize(run, op.norm, x) if op.norm else x
    return x + _normalize(run, op.branch, source) if op.branch else x


def _normalize(run: _Run, norm: str, x: Tensor) -> Tensor:
    """Batch norm with the statistics of the batch."""
    mean = variance = None
    if run.statistics is not None:
        mean = run.statistics[f"{norm}.running_mean"]
        variance = run.statistics[f"{norm}.running_var"]
    weight, bias = run.tensors[f"{norm}.weight"], run.tensors[f"{norm}.bias"]
    return F.batch_norm(x, mean, variance, weight, bias, True, run.momentum, BATCH_NORM_EPSILON)


def _linear(step: _Step) -> Tensor:
    features = step.inputs[0].flatten(1)
    if step.run.dropout:
        features = F.dropout(features, step.run.dropout)
    key = step.op.weight
    return F.linear(features, step.run.tensors[f"{key}.weight"], step.run.tensors[f"{key}.bias"])


def _add(step: _Step) -> Tensor:
    first, second = step.inputs
    return first.add_(second) if step.disposable else first + second


def _mul(step: _Step) -> Tensor:
    first, second = step.inputs
    # The gradient of a product needs both factors.
    in_place = step.disposable and not torch.is_grad_enabled()
    return first.mul_(second) if in_place else first * second


_OPERATORS: dict[str, Callable[[_Step], Tensor]] = {
    "conv": _conv,
    "linear": _linear,
    "relu": lambda step: F.relu(step.inputs[0], inplace=step.disposable),
    "hard_swish": lambda step: F.hardswish(step.inputs[0], inplace=step.disposable),
    "sigmoid": lambda step: torch.sigmoid(step.inputs[0]),
    "hard_sigmoid": lambda step: F.hardsigmoid(step.inputs[0]),
    "avg_pool": lambda step: F.avg_pool2d(step.inputs[0], step.op.kernel, step.op.stride),
    "max_pool": lambda step: F.max_pool2d(step.inputs[0], step.op.kernel, step.op.stride),
    "global_pool": lambda step: F.adaptive_avg_pool2d(step.inputs[0], 1),
    "resize": lambda step: F.interpolate(step.inputs[0], step.op.shape[1:], mode=step.op.mode),
    "concat": lambda step: torch.cat(step.inputs, 1),
    "slice": lambda step: step.inputs[0][:, : step.op.shape[0]],
    "add": _add,
    "mul": _mul,
}
