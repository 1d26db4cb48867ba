"""`Envelope`: the largest value of everything that any network of a set has, block by block.

A supernet is built from it. `SlotEnvelope` is the same for the blocks that may stand at one
position.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache

import msgspec

from gnv2_nas.arch.architecture import Architecture
from gnv2_nas.arch.blocks import Activation, Block, GhostBlock, GhostModule
from gnv2_nas.arch.canonical import is_identity_shortcut
from gnv2_nas.errors import InputError

Parts = tuple[int, ...]
"""How many channels of each kind a set of Ghost outputs has at most: first the primary ones, then,
copy by copy, the primary channels that have such a cheap copy."""


class GhostEnvelope(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The largest values of one Ghost module."""

    ratios: tuple[int, ...]
    """Every Ghost ratio it may have."""
    cheap_kernel: int
    dfc_kernel_h: int = 0
    """Taps of the vertical DFC convolution; 0 where there is never any attention."""
    dfc_kernel_w: int = 0


class SlotEnvelope(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The largest values of the blocks that may stand at one place."""

    hidden_channels: int
    out_channels: int
    kernel: int
    stride: int
    se_channels: int
    projects: bool
    """Whether the shortcut may have weights of its own; otherwise it is always the identity."""
    ghost1: GhostEnvelope
    ghost2: GhostEnvelope


@lru_cache(maxsize=1 << 12)
def ghost_parts(channels: int, ratios: tuple[int, ...]) -> Parts:
    """The parts of Ghost outputs of up to `channels` channels and any of these ratios."""
    return tuple(
        max(-(-channels // ratio) for ratio in ratios if ratio > copy)
        for copy in range(max(ratios))
    )


def at_most(field: str, found: int, limit: int) -> str:
    """What is wrong with a value above its limit; "" when nothing is."""
    return f"{field}: at most {limit}, but got {found}" if found > limit else ""


def block_problems(block: Block, in_channels: int, slot: SlotEnvelope) -> Iterator[str]:
    """What about a block does not fit its slot, field by field."""
    if not isinstance(block, GhostBlock):
        yield "type: a Ghost block is needed, but got a mobile block"
        return
    if block.stride != slot.stride:
        yield f"stride: must be {slot.stride}, but got {block.stride}"
    projects = not is_identity_shortcut(block, in_channels)
    if projects and not slot.projects:
        yield f"out_channels: must be the {in_channels} of the input, but got {block.out_channels}"
    limits = ["hidden_channels", "out_channels", "se_channels", *["kernel"] * projects]
    for field in limits:
        if problem := at_most(field, getattr(block, field), getattr(slot, field)):
            yield problem
    modules = (
        ("ghost1", block.ghost1, block.hidden_channels, slot.hidden_channels, slot.ghost1),
        ("ghost2", block.ghost2, block.out_channels, slot.out_channels, slot.ghost2),
    )
    for name, module, channels, limit, envelope in modules:
        for problem in _module_problems(module, channels, limit, envelope):
            yield f"{name}.{problem}"


def _module_problems(
    module: GhostModule, channels: int, limit: int, envelope: GhostEnvelope
) -> Iterator[str]:
    parts = ghost_parts(limit, envelope.ratios)
    primary = -(-channels // module.ratio)
    # The canonical form lowers a ratio above the channels: what must fit are the channels it makes.
    if module.ratio > len(parts) or any(primary > part for part in parts[: module.ratio]):
        known = ", ".join(map(str, envelope.ratios))
        yield f"ratio: must be one of {known}, but got {module.ratio}"
    if problem := at_most("cheap_kernel", module.cheap_kernel, envelope.cheap_kernel):
        yield problem
    if module.dfc is None:
        return
    if not envelope.dfc_kernel_h:
        yield "dfc: must be none, but got attention"
    for taps in ("kernel_h", "kernel_w"):
        limit = getattr(envelope, f"dfc_{taps}")
        if problem := at_most(f"dfc.{taps}", getattr(module.dfc, taps), limit):
            yield problem


class Envelope(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The largest values of a set of Ghost networks that share their weights."""

    stem_channels: int
    conv_channels: int
    head_channels: int
    num_classes: int
    activation: Activation
    resolutions: tuple[int, ...]
    slots: tuple[SlotEnvelope, ...]
    """Places for blocks, in order; no network uses more than one block of each."""
    layouts: tuple[dict[int, tuple[int, ...]], ...]
    """For each stage: number of blocks → the slots they take."""

    def to_json(self) -> str:
        """JSON without white space, fields in declaration order."""
        return msgspec.json.encode(self).decode()

    @classmethod
    def from_json(cls, text: str | bytes) -> Envelope:
        """The inverse of `to_json`.

        Raises:
            InputError: not JSON, an unknown or missing field, a value of a wrong type.
        """
        try:
            return msgspec.json.decode(text, type=cls)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise InputError(f"not an envelope in JSON: {error}") from None

    @property
    def stem_parts(self) -> Parts:
        """Of the stem, whose channels stand as those of the block that adds to them."""
        return ghost_parts(self.stem_channels, self.slots[0].ghost2.ratios)

    def input_parts(self) -> list[Parts]:
        """What each slot may read, then what the last convolution may read."""
        read: list[Parts] = [()] * len(self.slots)
        before = {self.stem_parts}
        for layout in self.layouts:
            after = set()
            for slots in layout.values():
                parts = _union(before)
                for slot in slots:
                    read[slot] = _union((read[slot], parts))
                    parts = ghost_parts(
                        self.slots[slot].out_channels, self.slots[slot].ghost2.ratios
                    )
                after.add(parts)
            before = after
        return [*read, _union(before)]

    def slots_of(self, arch: Architecture) -> tuple[int, ...]:
        """The slot of each block of `arch`.

        Raises:
            InputError: the network is not inside the envelope; the message names the field.
        """
        self._check_network(arch)
        slots = self._slots(arch)
        channels = arch.stem_channels
        for index, (block, slot) in enumerate(zip(arch.blocks, slots, strict=True)):
            problem = next(block_problems(block, channels, self.slots[slot]), None)
            if problem:
                raise InputError(f"blocks[{index}].{problem}")
            channels = block.out_channels
        return slots

    def _check_network(self, arch: Architecture) -> None:
        for field in ("head_channels", "num_classes", "activation"):
            expected, found = getattr(self, field), getattr(arch, field)
            if found != expected:
                raise InputError(f"{field}: must be {expected}, but got {found}")
        for field in ("stem_channels", "conv_channels"):
            if problem := at_most(field, getattr(arch, field), getattr(self, field)):
                raise InputError(problem)
        if arch.resolution not in self.resolutions:
            known = ", ".join(map(str, self.resolutions))
            raise InputError(f"resolution: must be one of {known}, but got {arch.resolution}")

    def _slots(self, arch: Architecture) -> tuple[int, ...]:
        stages = stages_of(arch.blocks)
        if len(stages) != len(self.layouts):
            raise InputError(f"blocks: {len(self.layouts)} stages needed, but got {len(stages)}")
        slots: list[int] = []
        for number, (stage, layout) in enumerate(zip(stages, self.layouts, strict=True), 1):
            if len(stage) not in layout:
                known = ", ".join(map(str, sorted(layout)))
                raise InputError(
                    f"blocks: stage {number} must have {known} blocks, but got {len(stage)}"
                )
            slots += layout[len(stage)]
        return tuple(slots)


def stages_of(blocks: Sequence[Block]) -> tuple[tuple[int, ...], ...]:
    """Indices of the blocks that work between two changes of resolution."""
    stages: list[list[int]] = [[]]
    for index, block in enumerate(blocks):
        if block.stride == 2 and stages[-1]:
            stages.append([])
        stages[-1].append(index)
    return tuple(map(tuple, stages))


def _union(parts: set[Parts] | tuple[Parts, ...]) -> Parts:
    longest = max(map(len, parts))
    return tuple(
        max(each[index] for each in parts if index < len(each)) for index in range(longest)
    )
