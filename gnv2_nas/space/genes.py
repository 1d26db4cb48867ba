"""`Gene`: one decision of a space, the blocks it decides about, and its choices."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from gnv2_nas.space.axes import Value

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
        "ghost_ratio": "Ghost ratio",
        "cheap_kernel": "cheap kernel",
    }
)
"""Axis → what a sentence calls it, where that is not its name."""

_PARTS = frozenset({"placement", "se_ratio"})
"""Axes of parts that can be left out: attention, squeeze-and-excitation."""
_NOTHING: frozenset[Value] = frozenset({"none", 0})
"""Their values where they are."""


@dataclass(frozen=True)
class Gene:
    """One value that the blocks of a place share."""

    axis: str
    place: str
    """`stage4`, `block12`, or empty for the whole network."""
    blocks: tuple[int, ...]
    """Blocks of the base it decides about."""
    choices: tuple[Value, ...]
    """From the smallest to the largest network; a single one is fixed, not searched."""

    @property
    def name(self) -> str:
        """`width`, `dfc_kernel_h.stage4`, `placement.block12`."""
        return f"{self.axis}.{self.place}" if self.place else self.axis

    @property
    def searched(self) -> bool:
        return len(self.choices) > 1


def describe_change(values: Mapping[str, tuple[Value, Value]]) -> str:
    """Gene → its value before and after, in words: "DFC in stage 4: both → none".

    Genes of one axis that end at one value are named together: "DFC in blocks 6, 7: removed". By
    their names alone, so that a study whose space is gone can still be described.
    """
    ends = {after for _, after in values.values()}
    axis, _, _ = next(iter(values)).partition(".")
    title = _TITLES.get(axis, axis)
    where = _places([name.partition(".")[2] for name in values])
    subject = (
        f"{title} {'in' if axis in _PARTS or axis.startswith('dfc') else 'of'} {where}"
        if where
        else title
    )
    if len(values) > 1:
        return f"{subject}: {'removed' if ends <= _NOTHING else f'all {_shown(ends.pop())}'}"
    ((before, after),) = values.values()
    return f"{subject}: {_shown(before)} → {_shown(after)}"


def is_removal(values: Mapping[str, tuple[Value, Value]]) -> bool:
    """Whether the change leaves a part out altogether."""
    parts = {name.partition(".")[0] for name in values}
    return parts <= _PARTS and {after for _, after in values.values()} <= _NOTHING


def _places(places: Sequence[str]) -> str:
    """ "block12" → "block 12"; several → "blocks 6, 7"."""
    spaced = [re.sub(r"(?<=[a-z])(?=\d+$)", " ", place) for place in places]
    if len(spaced) == 1:
        return spaced[0]
    kind = spaced[0].partition(" ")[0]
    return f"{kind}s {', '.join(place.removeprefix(kind).strip() for place in spaced)}"


def _shown(value: Value) -> str:
    return value if isinstance(value, str) else f"{value:g}"
