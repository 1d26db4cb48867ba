"""Shared Ghost blocks: the weights of all blocks at one position."""

from __future__ import annotations

from torch import nn

from gnv2_nas.arch import (
    BlockSpec,
    ChannelGroups,
    GhostBlock,
    GhostModule,
    GhostSpec,
    group_channels,
    is_identity_shortcut,
)
from gnv2_nas.nn.supernet.shared_layers import (
    Channels,
    GhostOutput,
    SharedAttention,
    SharedConvolution,
    SharedDepthwise,
    SharedNorm,
    SharedSqueezeExcite,
    Tensors,
    cheap_channels,
    first_channels,
    ghost_channels,
)


class SharedGhostModule(nn.Module):
    """A shared Ghost module. Its cheap convolution has one filter for each copy of each primary
    channel.

    A RepGhost module has a primary channel and a cheap filter for each channel of its output. Its
    1x1 convolution shares the filters of primary channels with those of Ghost modules.
    """

    def __init__(self, in_channels: int, out_channels: int, supernet_spec: GhostSpec) -> None:
        super().__init__()
        self.groups = group_channels(out_channels, supernet_spec.ratios)
        copies, all_channels = sum(self.groups[1:]), sum(self.groups)
        kernel = (supernet_spec.cheap_kernel, supernet_spec.cheap_kernel)
        self.primaries = all_channels if supernet_spec.adds else self.groups[0]
        self.primary = SharedConvolution(in_channels, self.primaries)
        self.cheap = SharedDepthwise(copies, kernel) if supernet_spec.concatenates else None
        self.added = SharedDepthwise(all_channels, kernel) if supernet_spec.adds else None
        self.fusion = SharedNorm(all_channels) if supernet_spec.adds else None
        self.attention = (
            SharedAttention(
                in_channels,
                sum(self.groups),
                supernet_spec.dfc_kernel_h,
                supernet_spec.dfc_kernel_w,
            )
            if supernet_spec.dfc_kernel_h
            else None
        )

    def tensors(
        self, key: str, module: GhostModule, source: Channels, output: GhostOutput
    ) -> Tensors:
        """The weights of a module.

        Args:
            key: its prefix in the state dict.
            module: the network's module.
            source: channels of its input.
            output: determines the order of its channels.
        """
        device = self.primary.weight.device
        conv, operation = f"{key}.primary_conv", f"{key}.cheap_operation"
        if module.adds and self.added is not None and self.fusion is not None:
            primary = rows = ghost_channels(output, self.groups, device)
            cheap, tensors = self.added, self.fusion.norm_tensors(f"{key}.fusion_bn.0", rows)
        else:
            assert self.cheap is not None  # noqa: S101  the specification was checked
            primary = first_channels(output.primary, self.primaries)
            rows = cheap_channels(output, self.groups, device)
            cheap, tensors = self.cheap, {}
        kernel = (module.cheap_kernel, module.cheap_kernel)
        tensors |= self.primary.tensors(f"{conv}.0", f"{conv}.1", primary, source)
        tensors |= cheap.tensors(f"{operation}.0", f"{operation}.1", rows, kernel)
        if self.attention is not None and module.dfc is not None:
            gates = ghost_channels(output, self.groups, device)
            tensors |= self.attention.tensors(f"{key}.short_conv", module.dfc, source, gates)
        return tensors


class SharedShortcut(nn.Module):
    """The shared shortcut of a block that changes shape."""

    def __init__(self, in_channels: int, out_channels: int, kernel: tuple[int, int]) -> None:
        super().__init__()
        self.depthwise = SharedDepthwise(in_channels, kernel)
        self.pointwise = SharedConvolution(in_channels, out_channels)

    def tensors(
        self, key: str, kernel: tuple[int, int], source: Channels, out: Channels
    ) -> Tensors:
        """The weights of a shortcut from the channels `source` to `out`."""
        return {
            **self.depthwise.tensors(f"{key}.0", f"{key}.1", source, kernel),
            **self.pointwise.tensors(f"{key}.2", f"{key}.3", out, source),
        }


class SharedGhostBlock(nn.Module):
    """A shared Ghost bottleneck."""

    def __init__(self, in_groups: ChannelGroups, spec: BlockSpec) -> None:
        super().__init__()
        self.in_groups = in_groups
        read, kernel = sum(in_groups), (spec.kernel, spec.kernel)
        self.ghost1 = SharedGhostModule(read, spec.hidden_channels, spec.ghost1)
        hidden = sum(self.ghost1.groups)
        self.depthwise = SharedDepthwise(hidden, kernel) if spec.stride > 1 else None
        self.se = SharedSqueezeExcite(hidden, spec.se_channels) if spec.se_channels else None
        self.ghost2 = SharedGhostModule(hidden, spec.out_channels, spec.ghost2)
        self.shortcut = (
            SharedShortcut(read, sum(self.ghost2.groups), kernel) if spec.projects else None
        )

    def tensors(self, key: str, block: GhostBlock, source: GhostOutput) -> Tensors:
        """The weights of a block whose input is the Ghost output `source`."""
        device = self.ghost1.primary.weight.device
        hidden_output = GhostOutput(block.ghost1.ratio, block.hidden_channels)
        block_output = GhostOutput(block.ghost2.ratio, block.out_channels)
        read = ghost_channels(source, self.in_groups, device)
        hidden = ghost_channels(hidden_output, self.ghost1.groups, device)
        kernel = (block.kernel, block.kernel)
        tensors = self.ghost1.tensors(f"{key}.ghost1", block.ghost1, read, hidden_output)
        if self.depthwise is not None:
            tensors |= self.depthwise.tensors(f"{key}.conv_dw", f"{key}.bn_dw", hidden, kernel)
        if self.se is not None and block.se_channels:
            tensors |= self.se.tensors(f"{key}.se", block.se_channels, hidden)
        tensors |= self.ghost2.tensors(f"{key}.ghost2", block.ghost2, hidden, block_output)
        if self.shortcut is not None and not is_identity_shortcut(block, source.channels):
            out = ghost_channels(block_output, self.ghost2.groups, device)
            tensors |= self.shortcut.tensors(f"{key}.shortcut", kernel, read, out)
        return tensors
