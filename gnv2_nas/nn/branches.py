"""`BranchedNetwork`: a network with additional branches that exist during training only.

GhostNetV3 (Liu et al. 2024, arXiv:2404.11202, sec. 3.1) trains each convolution of a Ghost module
as a sum of branches, each with its own batch norm: several equal convolutions, a 1x1 depthwise
convolution, and the input itself. The sum is linear, so it folds into one convolution.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import NamedTuple, cast

import torch
from msgspec.structs import replace
from torch import Tensor, nn
from torch.nn import functional as F

from gnv2_nas.graph import Op
from gnv2_nas.graph.weights import BATCH_NORM_EPSILON
from gnv2_nas.nn.interpreter import (
    Tensors,
    cached_lower,
    convolve,
    convolve_channels_last,
    is_channels_last,
)
from gnv2_nas.nn.layers import convolution
from gnv2_nas.nn.network import Network

BATCH_NORM_MOMENTUM = 0.1
"""Weight of a batch in the running statistics: torch's default, as in the papers."""

_BRANCHED = (".primary_conv.", ".cheap_operation.", ".short_conv.")


class _Norm(NamedTuple):
    """Tensors of a batch norm, (channels,) each."""

    weight: Tensor
    bias: Tensor
    mean: Tensor
    variance: Tensor

    @classmethod
    def of(cls, module: nn.Module) -> _Norm:
        norm = cast(nn.BatchNorm2d, module)
        return cls(
            norm.weight, norm.bias, cast(Tensor, norm.running_mean), cast(Tensor, norm.running_var)
        )

    @classmethod
    def find(cls, key: str, tensors: Tensors, statistics: Tensors) -> _Norm:
        return cls(
            tensors[f"{key}.weight"],
            tensors[f"{key}.bias"],
            statistics[f"{key}.running_mean"],
            statistics[f"{key}.running_var"],
        )

    def apply(self, x: Tensor) -> Tensor:
        """Normalise by the statistics of the batch; the running ones move in place."""
        return F.batch_norm(
            x, self.mean, self.variance, self.weight, self.bias, True, BATCH_NORM_MOMENTUM,
            BATCH_NORM_EPSILON,
        )  # fmt: skip


def _rows(x: Tensor) -> Tensor:
    """(N, C, H, W) → (N H W, C)."""
    return x.permute(0, 2, 3, 1).flatten(0, 2)


def _add_products(rows: Tensor, kernels: Tensor, norms: Sequence[_Norm]) -> Tensor:
    """Sum of the batch norms of several matrix products.

    The products are not computed: their means and variances follow from the mean and the
    covariance of the input, and then one matrix gives the sum. On a CPU that takes a quarter to a
    half of the time; results differ by rounding.

    Args:
        rows: input, (pixels, in_channels).
        kernels: (products, channels, in_channels).
        norms: batch norm of each product.

    Returns:
        (pixels, channels).
    """
    count, mean = len(rows), rows.mean(0)
    deviations = rows - mean
    covariance = deviations.T @ deviations / count
    variances = (kernels @ covariance * kernels).sum(2)
    with torch.no_grad():
        for norm, own_mean, own in zip(norms, kernels @ mean, variances, strict=True):
            norm.mean.lerp_(own_mean, BATCH_NORM_MOMENTUM)
            norm.variance.lerp_(own * (count / (count - 1)), BATCH_NORM_MOMENTUM)
    scales = torch.stack([norm.weight for norm in norms]) * (variances + BATCH_NORM_EPSILON).rsqrt()
    matrix = (scales[:, :, None] * kernels).sum(0)
    return F.linear(deviations, matrix, torch.stack([norm.bias for norm in norms]).sum(0))


class Branches(nn.Module):
    """What is added to one convolution with batch norm during training.

    Args:
        op: the convolution; its stride is 1.
        count: number of equal convolutions, the network's own included.
    """

    def __init__(self, op: Op, count: int) -> None:
        super().__init__()
        self.op = op
        channels = op.shape[0]
        kernels = [op.kernel] * (count - 1)
        if op.groups == op.in_channels and op.kernel != (1, 1):
            kernels.append((1, 1))
        self._ops = [op, *(replace(op, kernel=kernel) for kernel in kernels)]
        self.convs = nn.ModuleList(
            convolution(op.in_channels, channels, kernel, groups=op.groups) for kernel in kernels
        )
        # One norm more than convolutions is that of the input; a module that adds has it already.
        adds_input = op.in_channels == channels and not op.branch
        self.norms = nn.ModuleList(
            nn.BatchNorm2d(channels) for _ in range(len(kernels) + adds_input)
        )
        # With more inputs, their covariance would take more work than the outputs.
        self._expands = op.groups == 1 and op.kernel == (1, 1) and op.in_channels <= 2 * channels
        self.variance: Tensor
        self.register_buffer("variance", torch.ones(channels))

    def silence(self) -> None:
        """Let all branches add 0 until they have learnt something else."""
        for norm in self.norms:
            nn.init.zeros_(cast(nn.BatchNorm2d, norm).weight)

    def forward(self, x: Tensor, tensors: Tensors, statistics: Tensors) -> Tensor:
        """Sum of the batch norms of all branches, by the statistics of the batch.

        The running statistics move in place, and so does the variance of the sum, which the
        folded batch norm needs.

        Args:
            x: input of the convolution, (N, in_channels, H, W).
            tensors: weights of the network by state dict key.
            statistics: running mean and variance of its batch norms by state dict key.
        """
        kernels = [tensors[f"{self.op.weight}.weight"]]
        kernels += [cast(nn.Conv2d, conv).weight for conv in self.convs]
        norms = [_Norm.find(self.op.norm, tensors, statistics), *map(_Norm.of, self.norms)]
        add = self._multiply_once if self._expands else self._add_outputs
        total = add(x, kernels, norms)
        with torch.no_grad():
            # Not `Tensor.var`, which takes 20 times as long in channels-last format.
            rows = _rows(total).to(self.variance.dtype)
            variance = (rows - rows.mean(0)).square().sum(0) / (len(rows) - 1)
            self.variance.lerp_(variance, BATCH_NORM_MOMENTUM)
        return total

    def _add_outputs(self, x: Tensor, kernels: Sequence[Tensor], norms: Sequence[_Norm]) -> Tensor:
        convolve_x = convolve_channels_last if is_channels_last(x) else convolve
        total = norms[-1].apply(x) if len(norms) > len(kernels) else None
        for kernel, norm, op in zip(kernels, norms, self._ops, strict=False):
            y = norm.apply(convolve_x(x, kernel, None, op))
            total = y if total is None else total + y
        assert total is not None  # noqa: S101
        return total

    def _multiply_once(
        self, x: Tensor, kernels: Sequence[Tensor], norms: Sequence[_Norm]
    ) -> Tensor:
        matrices = [kernel.flatten(1) for kernel in kernels]
        if len(norms) > len(kernels):
            matrices.append(matrices[0].new_ones(len(matrices[0])).diag())
        with torch.autocast(x.device.type, enabled=False):
            rows = _add_products(_rows(x).to(matrices[0].dtype), torch.stack(matrices), norms)
        return rows.to(x.dtype).view(len(x), *x.shape[2:], -1).permute(0, 3, 1, 2)

    @torch.no_grad()
    def fold_into(self, network: nn.Module) -> None:
        """Add the branches to the network's own convolution and batch norm, in place.

        Computed in float64. Mean and variance become those of the folded convolution's output, so
        that training with statistics of the batch can go on.
        """
        conv = cast(nn.Conv2d, network.get_submodule(self.op.weight))
        norm = cast(nn.BatchNorm2d, network.get_submodule(self.op.norm))
        kernel, shift, mean = _fold(conv.weight, norm)
        for number, branch in enumerate(self.norms):
            weight = self._own_shape(number, conv.weight)
            parts = _fold(weight, cast(nn.BatchNorm2d, branch))
            kernel, shift, mean = kernel + parts[0], shift + parts[1], mean + parts[2]
        variance = self.variance.double()
        conv.weight.copy_(kernel)
        norm.weight.copy_((variance + norm.eps).sqrt())
        norm.bias.copy_(shift + mean)
        cast(Tensor, norm.running_mean).copy_(mean)
        cast(Tensor, norm.running_var).copy_(variance)

    def _own_shape(self, number: int, own: Tensor) -> Tensor:
        """Kernel of branch `number`, padded with zeros to the shape of the network's own kernel."""
        if number < len(self.convs):
            kernel = cast(nn.Conv2d, self.convs[number]).weight
        else:
            kernel = torch.eye(len(own), dtype=own.dtype, device=own.device)
            kernel = kernel if self.op.groups == 1 else kernel.diagonal()
            kernel = kernel.reshape(*own.shape[:2], 1, 1)
        if kernel.shape == own.shape:
            return kernel
        height, width = (side // 2 for side in self.op.kernel)
        return F.pad(kernel, [width, width, height, height])


def _fold(kernel: Tensor, norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor, Tensor]:
    """Kernel and shift of a convolution with batch norm, and the mean before the shift; float64."""
    mean, variance = cast(Tensor, norm.running_mean), cast(Tensor, norm.running_var)
    scale = norm.weight.double() * (variance.double() + norm.eps).rsqrt()
    mean = mean.double() * scale
    return kernel.double() * scale.view(-1, 1, 1, 1), norm.bias.double() - mean, mean


class BranchedNetwork(nn.Module):
    """A network and the branches that its training adds to its Ghost modules.

    Args:
        network: the network; its own weights are the first branch of each convolution.
        count: equal convolutions in place of each one.
        silent: whether the branches add 0 at first, so that the folded network is `network`.
    """

    def __init__(self, network: Network, count: int, *, silent: bool) -> None:
        super().__init__()
        self.network = network
        ops = (op for op in cached_lower(network.architecture).ops if op.norm)
        self.branches = nn.ModuleList(
            Branches(op, count) for op in ops if any(part in op.weight for part in _BRANCHED)
        )
        for branches in self._each() if silent else ():
            branches.silence()

    def by_weight(self) -> dict[str, Branches]:
        """The branches by the prefix of their convolution's keys in the state dict."""
        return {branches.op.weight: branches for branches in self._each()}

    def fold(self) -> Network:
        """A copy of the network that computes the same, without branches."""
        network = copy.deepcopy(self.network)
        for branches in self._each():
            branches.fold_into(network)
        return network

    def _each(self) -> list[Branches]:
        return [cast(Branches, branches) for branches in self.branches]
