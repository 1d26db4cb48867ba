"""`SlotEnvelope`: the largest values of the blocks that may stand at one place of a network."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

import msgspec

from gnv2_nas.arch.blocks import Block, GhostBlock, GhostModule
from gnv2_nas.arch.canonical import is_identity_shortcut

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
