"""`Envelope`: the largest of everything that any network of a set has, block by block.

A weight-sharing network that is as large as the envelope contains every network of the set.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from gnv2_nas.arch.architecture import Architecture
from gnv2_nas.arch.blocks import Activation, Block
from gnv2_nas.arch.slot import Parts, SlotEnvelope, at_most, block_problems, ghost_parts
from gnv2_nas.errors import InputError


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
