"""Which channels of a shared tensor a network uses.

Every channel of a Ghost output has an identity that does not depend on the network: primary
channel i, or cheap copy c of primary channel g. The shared tensors hold all primary channels
first, then all first copies, all second copies and so on (`arch.Parts` says how many of each); a
network of ratio r has p primary channels and then, at position p + g(r-1) + c, copy c of g.
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
    """How the channels of a network's map stand: as those of a Ghost module's output."""

    ratio: int
    channels: int

    @property
    def primary(self) -> int:
        return -(-self.channels // self.ratio)


@dataclass(frozen=True, slots=True, eq=False)
class Channels:
    """Channels of a shared dimension, in the order the network has them."""

    ranges: tuple[slice, ...]
    """Empty: all of them as they are."""
    index: Tensor | None = None
    """The same one by one, where there are several ranges."""

    def rows(self, tensor: Tensor) -> Tensor:
        """These along the first dimension, differentiably."""
        if not self.ranges:
            return tensor
        if self.index is not None:
            return tensor.index_select(0, self.index)
        return tensor[self.ranges[0]]

    def columns(self, tensor: Tensor) -> Tensor:
        """These along the second dimension, differentiably."""
        if not self.ranges:
            return tensor
        if len(self.ranges) > 2 and self.index is not None:
            return tensor.index_select(1, self.index)
        pieces = [tensor[:, part] for part in self.ranges]
        # Two pieces are the halves of a Ghost output: joining them is half the work of an index.
        return pieces[0] if len(pieces) == 1 else torch.cat(pieces, 1)


ALL = Channels(())


def submatrix(weight: Tensor, rows: Channels, columns: Channels) -> Tensor:
    """(out, in, height, width) → these rows and columns of it."""
    if len(rows.ranges) == 2:
        # Taking all columns of these rows first would copy more than is wanted.
        return torch.cat([columns.columns(weight[part]) for part in rows.ranges])
    return columns.columns(rows.rows(weight))


@lru_cache(maxsize=1 << 12)
def first_channels(count: int, of: int) -> Channels:
    """The first `count` of `of` channels."""
    return ALL if count == of else Channels((slice(count),))


@lru_cache(maxsize=1 << 12)
def ghost_channels(output: GhostOutput, groups: ChannelGroups, device: torch.device) -> Channels:
    """A Ghost output's channels among all that `groups` counts."""
    copies = _copies(output, groups)
    positions = [*range(output.primary), *(groups[0] + position for position in copies)]
    return _channels(positions[: output.channels], sum(groups), device)


@lru_cache(maxsize=1 << 12)
def cheap_channels(output: GhostOutput, groups: ChannelGroups, device: torch.device) -> Channels:
    """All channels of a Ghost module's cheap convolution among all copies `groups` counts."""
    return _channels(_copies(output, groups), sum(groups[1:]), device)


def _copies(output: GhostOutput, groups: ChannelGroups) -> list[int]:
    """The cheap copies of each primary channel, as positions among all copies."""
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
        # Kept for later calls, which may train.
        index = torch.tensor(positions, device=device) if len(ranges) > 1 else None
    return Channels(tuple(slice(*part) for part in ranges), index)
