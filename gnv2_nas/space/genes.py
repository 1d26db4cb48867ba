"""Axes, genes and the base network: what a search space can decide, block by block."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal, cast, get_args

from gnv2_nas.arch import (
    DFC,
    Architecture,
    GhostBlock,
    find_stages,
    is_identity_shortcut,
    list_presets,
    preset,
)

Value = str | int | float
"""One choice of an axis."""

Placement = Literal["none", "second", "first", "both"]
Pool = Literal["avg", "max"]
Resize = Literal["nearest", "bilinear"]
Merge = Literal["concat", "add"]


@dataclass(frozen=True)
class Axis:
    """A property of networks that a space can vary."""

    name: str
    meaning: str
    kind: Any
    """Type of a choice: `int`, `float`, or a `Literal` with values from small to large."""
    scopes: tuple[str, ...] = ("network", "stage", "block")
    """Parts of a network that can share one value; the first is the default."""
    low: float = 1
    high: float = 1
    odd: bool = False
    """Whether only odd values are allowed."""
    falls: bool = False
    """Whether larger values give smaller networks."""

    @property
    def words(self) -> tuple[str, ...]:
        """The values of a `Literal` axis; empty for an axis of numbers."""
        return get_args(self.kind)

    def sort(self, choices: Iterable[Value]) -> tuple[Value, ...]:
        """`choices` from the smallest to the largest network."""
        if self.words:
            return tuple(sorted(choices, key=lambda choice: self.words.index(str(choice))))
        return tuple(sorted(choices, key=float, reverse=self.falls))

    def problem(self, choice: Value) -> str | None:
        """What is wrong with `choice` and what would be right; None if it is valid."""
        if isinstance(choice, str):
            return None
        if self.odd and choice % 2 == 0:
            return f"a kernel must be odd, but got {choice}; try {_odd_neighbours(choice)}"
        if not self.low <= choice <= self.high:
            return f"`{self.low:g} <= {self.name} <= {self.high:g}` must hold, but got {choice:g}"
        return None


def _odd_neighbours(choice: Value) -> str:
    return " or ".join(str(int(choice) + step) for step in (-1, 1) if int(choice) + step > 0)


_AXES = (
    Axis("width", "multiplier of all channels but the head", float, ("network", "stage"), 0.05, 8),
    Axis("divisor", "channels are multiples of it", int, ("network",), 1, 128),
    Axis("resolution", "height and width of the input, pixels", int, ("network",), 16, 4096),
    Axis("depth", "blocks more (or, negative, fewer) than the base", int, ("stage",), -16, 16),
    Axis("expansion", "hidden channels / input channels", float, low=0.1, high=32),
    Axis("placement", "which Ghost modules carry DFC attention", Placement),
    Axis("dfc_kernel_h", "taps of the vertical DFC convolution", int, high=255, odd=True),
    Axis("dfc_kernel_w", "taps of the horizontal DFC convolution", int, high=255, odd=True),
    Axis("dfc_factor", "down-sampling of the DFC map", int, high=64, falls=True),
    Axis("dfc_pool", "operator of that down-sampling", Pool),
    Axis("dfc_resize", "how the DFC map returns to full size", Resize),
    Axis("kernel", "depthwise kernel of a block that changes shape", int, high=31, odd=True),
    Axis("se_ratio", "squeeze-and-excitation channels / hidden channels", float, low=0),
    Axis("ghost", "how Ghost modules merge their two parts; add: RepGhost modules", Merge),
    Axis("ghost_ratio", "s: 1/s of the channels are primary", int, low=2, high=16, falls=True),
    Axis("cheap_kernel", "d: kernel of the cheap convolution", int, high=31, odd=True),
)

AXES: Mapping[str, Axis] = MappingProxyType({axis.name: axis for axis in _AXES})
"""Name → axis, in display order."""

_TITLES: Mapping[str, str] = MappingProxyType(
    {
        "placement": "DFC",
        "dfc_kernel_h": "height of the DFC kernel",
        "dfc_kernel_w": "width of the DFC kernel",
        "dfc_factor": "DFC down-sampling",
        "dfc_pool": "DFC pooling",
        "dfc_resize": "DFC resizing",
        "kernel": "depthwise kernel",
        "se_ratio": "squeeze-and-excitation",
        "ghost": "Ghost modules",
        "ghost_ratio": "Ghost ratio",
        "cheap_kernel": "cheap kernel",
    }
)
"""Axis → its name in sentences, if that differs."""

_PARTS = frozenset({"placement", "se_ratio"})
"""Axes of optional parts: attention and squeeze-and-excitation."""
_NOTHING: frozenset[Value] = frozenset({"none", 0})
"""Values that leave such a part out."""


@dataclass(frozen=True)
class Gene:
    """One parameter of a search space. Its blocks share one value."""

    axis: str
    place: str
    """`stage4`, `block12`, or empty for the whole network."""
    blocks: tuple[int, ...]
    """Indices of its blocks in the base network."""
    choices: tuple[Value, ...]
    """From the smallest to the largest network. A gene with one choice is fixed."""

    @property
    def name(self) -> str:
        """`width`, `dfc_kernel_h.stage4`, `placement.block12`."""
        return f"{self.axis}.{self.place}" if self.place else self.axis

    @property
    def searched(self) -> bool:
        return len(self.choices) > 1


def describe_change(values: Mapping[str, tuple[Value, Value]]) -> str:
    """A change in words, for instance "DFC in stage 4: both → none".

    Several genes of one axis with the same new value give one text: "DFC in blocks 6, 7: removed".
    This uses gene names only, so it works without the search space.

    Args:
        values: gene name → values before and after.
    """
    ends = {after for _, after in values.values()}
    axis, _, _ = next(iter(values)).partition(".")
    title = _TITLES.get(axis, axis)
    where = _format_places([name.partition(".")[2] for name in values])
    subject = (
        f"{title} {'in' if axis in _PARTS or axis.startswith('dfc') else 'of'} {where}"
        if where
        else title
    )
    if len(values) > 1:
        return f"{subject}: {'removed' if ends <= _NOTHING else f'all {_format_value(ends.pop())}'}"
    ((before, after),) = values.values()
    return f"{subject}: {_format_value(before)} → {_format_value(after)}"


def is_removal(values: Mapping[str, tuple[Value, Value]]) -> bool:
    """Whether the change removes a part."""
    parts = {name.partition(".")[0] for name in values}
    return parts <= _PARTS and {after for _, after in values.values()} <= _NOTHING


def _format_places(places: Sequence[str]) -> str:
    """ "block12" → "block 12"; several → "blocks 6, 7"."""
    spaced = [re.sub(r"(?<=[a-z])(?=\d+$)", " ", place) for place in places]
    if len(spaced) == 1:
        return spaced[0]
    kind = spaced[0].partition(" ")[0]
    return f"{kind}s {', '.join(place.removeprefix(kind).strip() for place in spaced)}"


def _format_value(value: Value) -> str:
    return value if isinstance(value, str) else f"{value:g}"


BASES = tuple(name for name in list_presets() if not name.startswith("mobilenet"))
"""Presets made of Ghost blocks only."""

PUBLISHED_SE_RATIO = 0.25
"""SE ratio of all published Ghost networks; their blocks hold only the rounded channels."""


@dataclass(frozen=True)
class TemplateBlock:
    """A block of the base network, before width and rounding."""

    in_channels: int
    out_channels: int
    stride: int
    keeps_shape: bool
    """Whether stride is 1 and channels do not change, so that it can be removed or repeated."""
    stock: Mapping[str, Value]
    """Axis → value in the base network."""


@dataclass(frozen=True)
class Template:
    """A Ghost network and the blocks of its stages."""

    base: Architecture
    blocks: tuple[TemplateBlock, ...]
    stages: tuple[tuple[int, ...], ...]

    def depth_range(self, stage: int) -> range:
        """The changes of depth that leave at least one block in stage `stage` (from 0)."""
        members = self.stages[stage]
        spare = sum(self.blocks[index].keeps_shape for index in members)
        return range(-min(spare, len(members) - 1), 17 if spare else 1)

    def positions(self, stage: int, depth: int) -> tuple[int, ...]:
        """The blocks of a stage at a depth. Fewer blocks: those that keep the shape are removed,
        the last one first. More blocks: the last of them is repeated."""
        members = self.stages[stage]
        spare = [index for index in members if self.blocks[index].keeps_shape]
        if depth >= 0:
            return tuple(sorted((*members, *spare[-1:] * depth)))
        return tuple(index for index in members if index not in spare[depth:])


def build_template(name: str) -> Template:
    """The template of one of `BASES`."""
    base = preset(name)
    channels = base.stem_channels
    blocks = []
    for block in cast(tuple[GhostBlock, ...], base.blocks):
        blocks.append(
            TemplateBlock(
                in_channels=channels,
                out_channels=block.out_channels,
                stride=block.stride,
                keeps_shape=is_identity_shortcut(block, channels),
                stock=_stock(base, block, channels),
            )
        )
        channels = block.out_channels
    return Template(base, tuple(blocks), find_stages(base.blocks))


def placement_of(block: GhostBlock) -> str:
    """Which Ghost modules of `block` carry DFC attention."""
    first, second = block.ghost1.dfc is not None, block.ghost2.dfc is not None
    if first and second:
        return "both"
    return "first" if first else "second" if second else "none"


def _stock(base: Architecture, block: GhostBlock, in_channels: int) -> dict[str, Value]:
    dfc = block.ghost1.dfc or DFC()
    return {
        "width": 1.0,
        "divisor": 4,
        "resolution": base.resolution,
        "depth": 0,
        "expansion": block.hidden_channels / in_channels,
        "placement": placement_of(block),
        "dfc_kernel_h": dfc.kernel_h,
        "dfc_kernel_w": dfc.kernel_w,
        "dfc_factor": dfc.factor,
        "dfc_pool": dfc.pool,
        "dfc_resize": dfc.resize,
        "kernel": block.kernel,
        "se_ratio": PUBLISHED_SE_RATIO if block.se_channels else 0.0,
        "ghost": block.ghost1.merge or "concat",
        "ghost_ratio": block.ghost1.ratio,
        "cheap_kernel": block.ghost1.cheap_kernel,
    }
