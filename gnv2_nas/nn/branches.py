"""`BranchedNetwork`: a network with additional branches that exist during training only.

GhostNetV3 (Liu et al. 2024, arXiv:2404.11202, sec. 3.1) trains each convolution of a Ghost module
as a sum of branches, each with its own batch norm: several equal convolutions, a 1x1 depthwise
convolution, and the input itself. The sum is linear, so it folds into one convolution.
"""

from __future__ import annotations

import copy
from typing import cast

import torch
from msgspec.structs import replace
from torch import Tensor, nn
from torch.nn import functional as F

from gnv2_nas.graph import Op
from gnv2_nas.nn.interpreter import cached_lower, convolve, convolve_channels_last, is_channels_last
from gnv2_nas.nn.layers import convolution
from gnv2_nas.nn.network import Network

BATCH_NORM_MOMENTUM = 0.1
"""Weight of a batch in the running statistics: torch's default, as in the papers."""

_BRANCHED = (".primary_conv.", ".cheap_operation.", ".short_conv.")


class Branches(nn.Module):
    """What is added to one convolution with batch norm during training.

    Args:
        op: the convolution.
        count: number of equal convolutions, the network's own included.
    """

    def __init__(self, op: Op, count: int) -> None:
        super().__init__()
        self.op = op
        channels = op.shape[0]
        kernels = [op.kernel] * (count - 1)
        if op.groups == op.in_channels and op.kernel != (1, 1):
            kernels.append((1, 1))
        self._ops = [replace(op, kernel=kernel) for kernel in kernels]
        self.convs = nn.ModuleList(
            convolution(op.in_channels, channels, kernel, op.stride, op.groups)
            for kernel in kernels
        )
        # One norm more than convolutions is that of the input; a module that adds has it already.
        adds_input = op.in_channels == channels and op.stride == 1 and not op.branch
        self.norms = nn.ModuleList(
            nn.BatchNorm2d(channels) for _ in range(len(kernels) + adds_input)
        )
        self.variance: Tensor
        self.register_buffer("variance", torch.ones(channels))

    def silence(self) -> None:
        """Let all branches add 0 until they have learnt something else."""
        for norm in self.norms:
            nn.init.zeros_(cast(nn.BatchNorm2d, norm).weight)

    def forward(self, x: Tensor, own: Tensor) -> Tensor:
        """Sum of all branches.

        In training, its variance is averaged over the steps: the folded batch norm needs it.

        Args:
            x: input of the convolution, (N, in_channels, H, W).
            own: output of the network's own convolution and batch norm.
        """
        convolve_x = convolve_channels_last if is_channels_last(x) else convolve
        for number, norm in enumerate(self.norms):
            is_input = number == len(self.convs)
            weight = None if is_input else cast(nn.Conv2d, self.convs[number]).weight
            own = own + norm(
                x if weight is None else convolve_x(x, weight, None, self._ops[number])
            )
        if self.training:
            variance = own.detach().to(self.variance.dtype).var((0, 2, 3))
            self.variance.lerp_(variance, BATCH_NORM_MOMENTUM)
        return own

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
