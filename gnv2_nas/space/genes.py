"""`Gene`: one decision of a space, the blocks it decides about, and its choices."""

from __future__ import annotations

from dataclasses import dataclass

from gnv2_nas.space.axes import Value


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
