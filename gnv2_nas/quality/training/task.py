"""What the `Trainer` asks of that which it trains."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, Protocol

from torch import Tensor, nn


class Evaluation(NamedTuple):
    """What came of looking at the held-out images."""

    accuracy: float
    """Top-1, 0..1; of a supernet's largest network."""
    smallest_accuracy: float | None = None
    """Of a supernet's smallest network."""


class Task(Protocol):
    """One network or a supernet."""

    @property
    def module(self) -> nn.Module:
        """Holds the weights that are trained."""
        ...

    def resolution(self, step: int) -> int:
        """Of the images in that step, pixels."""
        ...

    def losses(self, images: Tensor, labels: Tensor, step: int) -> Iterator[Tensor]:
        """Scalars whose gradients add up; each is back-propagated before the next is computed, so
        that one network's feature maps are in memory at a time. The first is reported.

        Args:
            images: float32 (B, 3, R, R); R is `resolution(step)`.
            labels: int64 (B,).
        """
        ...

    def evaluate(self, module: nn.Module) -> Evaluation:
        """Accuracy on the held-out images with the weights of `module`, a copy of `self.module`."""
        ...
