"""Ghost blocks of a supernet: what every block that may stand at one place has a slice of."""

from __future__ import annotations

from torch import nn

from gnv2_nas.arch import (
    GhostBlock,
    GhostEnvelope,
    GhostModule,
    Parts,
    SlotEnvelope,
    ghost_parts,
    is_identity_shortcut,
)
from gnv2_nas.nn.supernet.shared_layers import (
    SharedAttention,
    SharedConvolution,
    SharedDepthwise,
    SharedSqueezeExcite,
    Tensors,
)
from gnv2_nas.nn.supernet.slices import (
    Channels,
    GhostLayout,
    cheap_channels,
    first_channels,
    ghost_channels,
)


class SharedGhostModule(nn.Module):
    """Ghost module; its cheap convolution has a filter for every copy of every primary channel."""

    def __init__(self, in_channels: int, out_channels: int, envelope: GhostEnvelope) -> None:
        super().__init__()
        self.parts = ghost_parts(out_channels, envelope.ratios)
        copies = sum(self.parts[1:])
        self.primary = SharedConvolution(in_channels, self.parts[0])
        self.cheap = SharedDepthwise(copies, (envelope.cheap_kernel, envelope.cheap_kernel))
        self.attention = (
            SharedAttention(
                in_channels, sum(self.parts), envelope.dfc_kernel_h, envelope.dfc_kernel_w
            )
            if envelope.dfc_kernel_h
            else None
        )

    def tensors(
        self, key: str, module: GhostModule, source: Channels, layout: GhostLayout
    ) -> Tensors:
        """The weights of a module that reads the channels `source` and whose output stands as
        `layout`."""
        device = self.primary.weight.device
        primary = first_channels(layout.primary, self.parts[0])
        cheap, kernel = cheap_channels(layout, self.parts, device), module.cheap_kernel
        conv, operation = f"{key}.primary_conv", f"{key}.cheap_operation"
        tensors = {
            **self.primary.tensors(f"{conv}.0", f"{conv}.1", primary, source),
            **self.cheap.tensors(f"{operation}.0", f"{operation}.1", cheap, (kernel, kernel)),
        }
        if self.attention is not None and module.dfc is not None:
            gates = ghost_channels(layout, self.parts, device)
            tensors |= self.attention.tensors(f"{key}.short_conv", module.dfc, source, gates)
        return tensors


class SharedShortcut(nn.Module):
    """The shortcut of a block that changes shape."""

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
    """Everything that a Ghost bottleneck at one place of the network may have."""

    def __init__(self, in_parts: Parts, slot: SlotEnvelope) -> None:
        super().__init__()
        self.in_parts = in_parts
        read, kernel = sum(in_parts), (slot.kernel, slot.kernel)
        self.ghost1 = SharedGhostModule(read, slot.hidden_channels, slot.ghost1)
        hidden = sum(self.ghost1.parts)
        self.depthwise = SharedDepthwise(hidden, kernel) if slot.stride > 1 else None
        self.se = SharedSqueezeExcite(hidden, slot.se_channels) if slot.se_channels else None
        self.ghost2 = SharedGhostModule(hidden, slot.out_channels, slot.ghost2)
        self.shortcut = (
            SharedShortcut(read, sum(self.ghost2.parts), kernel) if slot.projects else None
        )

    def tensors(self, key: str, block: GhostBlock, source: GhostLayout) -> Tensors:
        """The weights of a block that reads a map of layout `source`."""
        device = self.ghost1.primary.weight.device
        hidden_layout = GhostLayout(block.ghost1.ratio, block.hidden_channels)
        out_layout = GhostLayout(block.ghost2.ratio, block.out_channels)
        read = ghost_channels(source, self.in_parts, device)
        hidden = ghost_channels(hidden_layout, self.ghost1.parts, device)
        kernel = (block.kernel, block.kernel)
        tensors = self.ghost1.tensors(f"{key}.ghost1", block.ghost1, read, hidden_layout)
        if self.depthwise is not None:
            tensors |= self.depthwise.tensors(f"{key}.conv_dw", f"{key}.bn_dw", hidden, kernel)
        if self.se is not None and block.se_channels:
            tensors |= self.se.tensors(f"{key}.se", block.se_channels, hidden)
        tensors |= self.ghost2.tensors(f"{key}.ghost2", block.ghost2, hidden, out_layout)
        if self.shortcut is not None and not is_identity_shortcut(block, source.channels):
            out = ghost_channels(out_layout, self.ghost2.parts, device)
            tensors |= self.shortcut.tensors(f"{key}.shortcut", kernel, read, out)
        return tensors
