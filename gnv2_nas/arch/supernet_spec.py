"""`SupernetSpec`: the size of a supernet, the largest value of each field over its networks.

A supernet has a fixed list of block positions. `BlockSpec` gives the largest block at one
position. A network uses some of the positions, in order.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, UnsetType

from gnv2_nas.arch.architecture import Architecture
from gnv2_nas.arch.blocks import Activation, Block, GhostBlock, GhostModule, is_identity_shortcut
from gnv2_nas.errors import InputError

Size = Annotated[int, msgspec.Meta(ge=1, le=1 << 16)]
OptionalSize = Annotated[int, msgspec.Meta(ge=0, le=1 << 16)]
"""0 means that the part does not exist. Decoding from JSON checks these ranges."""

ChannelGroups = tuple[int, ...]
"""Maximum channels per group of a Ghost module's output. Element 0 counts the primary channels;
element c counts the primary channels that have a c-th cheap copy."""


class GhostSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The largest Ghost module at one position."""

    ratios: Annotated[tuple[Size, ...], msgspec.Meta(min_length=1)]
    """All Ghost ratios that networks use here. The channels of a module that adds are ordered as at
    ratio 2."""
    cheap_kernel: Size
    dfc_kernel_h: OptionalSize = 0
    """Taps of the vertical DFC convolution; 0 if no network has attention here."""
    dfc_kernel_w: OptionalSize = 0
    merges: tuple[Literal["concat", "add"], ...] | UnsetType = UNSET
    """How modules merge their parts here. Left out of JSON where all of them concatenate."""

    @property
    def concatenates(self) -> bool:
        """Whether a module here may be a Ghost module."""
        return self.merges is UNSET or "concat" in self.merges

    @property
    def adds(self) -> bool:
        """Whether a module here may be a RepGhost module."""
        return self.merges is not UNSET and "add" in self.merges


class BlockSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The largest block at one position."""

    hidden_channels: Size
    out_channels: Size
    kernel: Size
    stride: Size
    se_channels: OptionalSize
    projects: bool
    """Whether the shortcut has weights; if not, it is always the identity."""
    ghost1: GhostSpec
    ghost2: GhostSpec

    @property
    def out_groups(self) -> ChannelGroups:
        """Channel groups of the block's output."""
        return group_channels(self.out_channels, self.ghost2.ratios)


@lru_cache(maxsize=1 << 12)
def group_channels(channels: int, ratios: tuple[int, ...]) -> ChannelGroups:
    """Channel groups of Ghost outputs with up to `channels` channels and any of `ratios`."""
    return tuple(
        max(-(-channels // ratio) for ratio in ratios if ratio > copy)
        for copy in range(max(ratios))
    )


class SupernetSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={
    "blocks": "slots", "positions_by_depth": "layouts",
}):  # fmt: skip
    """The size of a supernet of Ghost networks. In JSON, `blocks` and `positions_by_depth` keep
    their first names, "slots" and "layouts"."""

    stem_channels: Size
    conv_channels: Size
    head_channels: Size
    num_classes: Size
    activation: Activation
    resolutions: Annotated[tuple[Size, ...], msgspec.Meta(min_length=1)]
    blocks: Annotated[tuple[BlockSpec, ...], msgspec.Meta(min_length=1)]
    """One per position, in order."""
    positions_by_depth: Annotated[
        tuple[Annotated[dict[Size, tuple[OptionalSize, ...]], msgspec.Meta(min_length=1)], ...],
        msgspec.Meta(min_length=1),
    ]
    """For each stage: number of blocks → the positions these blocks use."""

    def to_json(self) -> str:
        """JSON without white space, fields in declaration order."""
        return msgspec.json.encode(self).decode()

    @classmethod
    def from_json(cls, text: str | bytes) -> SupernetSpec:
        """The inverse of `to_json`.

        Raises:
            InputError: invalid JSON, a missing or unknown field, or a value of the wrong type.
        """
        try:
            return msgspec.json.decode(text, type=cls)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise InputError(f"not a supernet specification in JSON: {error}") from None

    @property
    def stem_groups(self) -> ChannelGroups:
        """Channel groups of the stem. Its channels are ordered like those of the first block,
        because the block adds the two."""
        return group_channels(self.stem_channels, self.blocks[0].ghost2.ratios)

    def input_groups(self) -> list[ChannelGroups]:
        """Channel groups of the input of each position, then of the last convolution."""
        inputs: list[ChannelGroups] = [()] * len(self.blocks)
        before = {self.stem_groups}
        for positions_by_depth in self.positions_by_depth:
            after = set()
            for positions in positions_by_depth.values():
                groups = _union(before)
                for position in positions:
                    inputs[position] = _union((inputs[position], groups))
                    groups = self.blocks[position].out_groups
                after.add(groups)
            before = after
        return [*inputs, _union(before)]

    def find_positions(self, arch: Architecture) -> tuple[int, ...]:
        """The position of each block of `arch`.

        Raises:
            InputError: the network is not in the supernet; the message names the field.
        """
        self._check_network(arch)
        positions = self._positions(arch)
        channels = arch.stem_channels
        for index, (block, position) in enumerate(zip(arch.blocks, positions, strict=True)):
            problem = next(_block_problems(block, channels, self.blocks[position]), None)
            if problem:
                raise InputError(f"blocks[{index}].{problem}")
            channels = block.out_channels
        return positions

    def _check_network(self, arch: Architecture) -> None:
        for field in ("head_channels", "num_classes", "activation"):
            expected, found = getattr(self, field), getattr(arch, field)
            if found != expected:
                raise InputError(f"{field}: must be {expected}, but got {found}")
        for field in ("stem_channels", "conv_channels"):
            if problem := _above(field, getattr(arch, field), getattr(self, field)):
                raise InputError(problem)
        if arch.resolution not in self.resolutions:
            known = ", ".join(map(str, self.resolutions))
            raise InputError(f"resolution: must be one of {known}, but got {arch.resolution}")

    def _positions(self, arch: Architecture) -> tuple[int, ...]:
        stages, expected = find_stages(arch.blocks), len(self.positions_by_depth)
        if len(stages) != expected:
            raise InputError(f"blocks: {expected} stages needed, but got {len(stages)}")
        positions: list[int] = []
        for number, (stage, by_depth) in enumerate(
            zip(stages, self.positions_by_depth, strict=True), 1
        ):
            if len(stage) not in by_depth:
                known = ", ".join(map(str, sorted(by_depth)))
                raise InputError(
                    f"blocks: stage {number} must have {known} blocks, but got {len(stage)}"
                )
            positions += by_depth[len(stage)]
        return tuple(positions)


def _above(field: str, found: int, limit: int) -> str:
    """An error text if a value exceeds its limit, else ""."""
    return f"{field}: at most {limit}, but got {found}" if found > limit else ""


def _block_problems(block: Block, in_channels: int, spec: BlockSpec) -> Iterator[str]:
    """Every reason why a block does not fit its position."""
    if not isinstance(block, GhostBlock):
        yield "type: a Ghost block is needed, but got a mobile block"
        return
    if block.stride != spec.stride:
        yield f"stride: must be {spec.stride}, but got {block.stride}"
    projects = not is_identity_shortcut(block, in_channels)
    if projects and not spec.projects:
        yield f"out_channels: must be the {in_channels} of the input, but got {block.out_channels}"
    limits = ["hidden_channels", "out_channels", "se_channels", *["kernel"] * projects]
    for field in limits:
        if problem := _above(field, getattr(block, field), getattr(spec, field)):
            yield problem
    modules = (
        ("ghost1", block.ghost1, block.hidden_channels, spec.hidden_channels, spec.ghost1),
        ("ghost2", block.ghost2, block.out_channels, spec.out_channels, spec.ghost2),
    )
    for name, module, channels, limit, ghost in modules:
        for problem in _module_problems(
            module, channels, group_channels(limit, ghost.ratios), ghost
        ):
            yield f"{name}.{problem}"


def _module_problems(
    module: GhostModule, channels: int, groups: ChannelGroups, spec: GhostSpec
) -> Iterator[str]:
    if not (spec.adds if module.adds else spec.concatenates):
        yield f"merge: must be {'concat' if module.adds else 'add'}"
    primary = -(-channels // module.ratio)
    # The canonical form may lower a ratio to a value outside of `ratios`, so compare the channels.
    if module.ratio > len(groups) or any(primary > group for group in groups[: module.ratio]):
        known = ", ".join(map(str, spec.ratios))
        yield f"ratio: must be one of {known}, but got {module.ratio}"
    if problem := _above("cheap_kernel", module.cheap_kernel, spec.cheap_kernel):
        yield problem
    if module.dfc is None:
        return
    if not spec.dfc_kernel_h:
        yield "dfc: must be none, but got attention"
    for taps in ("kernel_h", "kernel_w"):
        limit = getattr(spec, f"dfc_{taps}")
        if problem := _above(f"dfc.{taps}", getattr(module.dfc, taps), limit):
            yield problem


def find_stages(blocks: Sequence[Block]) -> tuple[tuple[int, ...], ...]:
    """Block indices of each stage: the blocks between two changes of resolution."""
    stages: list[list[int]] = [[]]
    for index, block in enumerate(blocks):
        if block.stride == 2 and stages[-1]:
            stages.append([])
        stages[-1].append(index)
    return tuple(map(tuple, stages))


def _union(groups: set[ChannelGroups] | tuple[ChannelGroups, ...]) -> ChannelGroups:
    longest = max(map(len, groups))
    return tuple(
        max(each[index] for each in groups if index < len(each)) for index in range(longest)
    )
