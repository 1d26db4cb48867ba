"""Which channels of a shared tensor a network uses.

Each channel of a Ghost output is primary channel g or cheap copy c of primary channel g, in every
network. The shared tensor holds all primary channels, then copy 0 of each of them, then copy 1,
and so on; `ChannelGroups` counts the channels of each group. In a network of ratio r with p
primary channels, the copies of one primary channel stand together: copy c of g is channel
p + g(r-1) + c.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate
from typing import NamedTuple

import torch
from torch import Tensor

from gnv2_nas.arch import ChannelGroups


class GhostOutput(NamedTuple):
    """The output of a network's Ghost module: it determines the order of its channels."""

    ratio: int
    channels: int

    @property
    def primary(self) -> int:
        return -(-self.channels // self.ratio)


@dataclass(frozen=True, slots=True, eq=False)
class Channels:
    """A selection of channels of a shared tensor, in the order of the network."""

    ranges: tuple[slice, ...]
    """Ranges of channels; empty to select all."""
    index: Tensor | None = None
    """The same channels one by one, if there are several ranges."""

    def rows(self, tensor: Tensor) -> Tensor:
        """The selection along the first dimension; differentiable."""
        if not self.ranges:
            return tensor
        if self.index is not None:
            return tensor.index_select(0, self.index)
        return tensor[self.ranges[0]]

    def columns(self, tensor: Tensor) -> Tensor:
        """The selection along the second dimension; differentiable."""
        if not self.ranges:
            return tensor
        if len(self.ranges) > 2 and self.index is not None:
            return tensor.index_select(1, self.index)
        pieces = [tensor[:, part] for part in self.ranges]
        # Concatenating the two halves of a Ghost output is twice as fast as `index_select`.
        return pieces[0] if len(pieces) == 1 else torch.cat(pieces, 1)


ALL = Channels(())


def submatrix(weight: Tensor, rows: Channels, columns: Channels) -> Tensor:
    """The selected rows and columns of a weight (out, in, height, width)."""
    if len(rows.ranges) == 2:
        # Selecting all rows first would copy columns that are not needed.
        return torch.cat([columns.columns(weight[part]) for part in rows.ranges])
    return columns.columns(rows.rows(weight))


@lru_cache(maxsize=1 << 12)
def first_channels(count: int, of: int) -> Channels:
    """The first `count` of `of` channels."""
    return ALL if count == of else Channels((slice(count),))


@lru_cache(maxsize=1 << 12)
def ghost_channels(output: GhostOutput, groups: ChannelGroups, device: torch.device) -> Channels:
    """All channels of a Ghost output in a shared tensor of these groups."""
    copies = _copies(output, groups)
    positions = [*range(output.primary), *(groups[0] + position for position in copies)]
    return _channels(positions[: output.channels], sum(groups), device)


@lru_cache(maxsize=1 << 12)
def cheap_channels(output: GhostOutput, groups: ChannelGroups, device: torch.device) -> Channels:
    """The channels of a Ghost module's cheap convolution among all copies of these groups."""
    return _channels(_copies(output, groups), sum(groups[1:]), device)


def _copies(output: GhostOutput, groups: ChannelGroups) -> list[int]:
    """Positions of the cheap copies of each primary channel among all copies."""
    starts = list(accumulate(groups[1:], initial=0))
    return [
        starts[copy] + primary
        for primary in range(output.primary)
        for copy in range(output.ratio - 1)
    ]


def _channels(positions: Sequence[int], of: int, device: torch.device) -> Channels:
    ranges: list[tuple[int, int]] = []
    for position in positions:
        if ranges and ranges[-1][1] == position:
            ranges[-1] = (ranges[-1][0], position + 1)
        else:
            ranges.append((position, position + 1))
    if ranges == [(0, of)]:
        return ALL
    with torch.inference_mode(False):
        # The cache keeps the index for later calls, which may train.
        index = torch.tensor(positions, device=device) if len(ranges) > 1 else None
    return Channels(tuple(slice(*part) for part in ranges), index)
