"""The axes a search space can open: their values, where they apply, which way they grow."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal, get_args

Value = str | int | float
"""One choice of an axis."""

Placement = Literal["none", "second", "first", "both"]
Pool = Literal["avg", "max"]
Resize = Literal["nearest", "bilinear"]


@dataclass(frozen=True)
class Axis:
    """One thing about a network that a space may vary."""

    name: str
    meaning: str
    kind: Any
    """Type of one choice: `int`, `float` or a `Literal`, listed from small to large."""
    scopes: tuple[str, ...] = ("network", "stage", "block")
    """What may share one value; the first is the default."""
    low: float = 1
    high: float = 1
    odd: bool = False
    falls: bool = False
    """The larger the value, the smaller the network."""

    @property
    def words(self) -> tuple[str, ...]:
        """The values of an axis of words; empty for an axis of numbers."""
        return get_args(self.kind)

    def ordered(self, choices: Iterable[Value]) -> tuple[Value, ...]:
        """`choices` from the smallest to the largest network."""
        if self.words:
            return tuple(sorted(choices, key=lambda choice: self.words.index(str(choice))))
        return tuple(sorted(choices, key=float, reverse=self.falls))

    def problem(self, choice: Value) -> str | None:
        """What is wrong with `choice` and what would be right; None when nothing is."""
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
    Axis("ghost_ratio", "s: 1/s of the channels are primary", int, low=2, high=16, falls=True),
    Axis("cheap_kernel", "d: kernel of the cheap convolution", int, high=31, odd=True),
)

AXES: Mapping[str, Axis] = MappingProxyType({axis.name: axis for axis in _AXES})
"""Every axis by name, in the order they are shown."""
