"""`TrainingTask`: the interface between the `Trainer` and what it trains; accuracy on a split."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple, Protocol

import torch
from torch import Tensor, nn

from gnv2_nas.arch import Preprocessing
from gnv2_nas.data import Split, preprocess
from gnv2_nas.training.context import is_out_of_memory, release_memory


class Evaluation(NamedTuple):
    """Accuracy on the held-out images."""

    accuracy: float
    """Top-1, 0..1; of a supernet: its largest network."""
    smallest_accuracy: float | None = None
    """Top-1 of a supernet's smallest network."""


class TrainingTask(Protocol):
    """One network or a supernet, and its loss."""

    @property
    def module(self) -> nn.Module:
        """Module whose weights are trained."""
        ...

    def resolution(self, step: int) -> int:
        """Width of the images in that step, pixels."""
        ...

    def losses(self, images: Tensor, labels: Tensor, step: int) -> Iterator[Tensor]:
        """Yield scalar losses whose gradients add up; the first one is reported.

        The caller back-propagates each loss before it asks for the next, so the feature maps of
        only one network are in memory.

        Args:
            images: float32 (B, 3, R, R); R is `resolution(step)`.
            labels: int64 (B,).
        """
        ...

    def evaluate(self, module: nn.Module) -> Evaluation:
        """Measure the accuracy with the weights of `module`, a copy of `self.module`."""
        ...


ComputeLogits = Callable[[Tensor], Tensor]
"""Preprocessed images (B, 3, R, R) → logits (B, classes), in evaluation mode."""


def measure_accuracy(
    compute_logits: ComputeLogits,
    split: Split,
    resolution: int,
    preprocessing: Preprocessing,
    batch_size: int = 256,
    device: torch.device | str = "cpu",
) -> float:
    """Top-1 accuracy: the share of images whose largest logit is that of their label, 0..1."""
    correct = find_correct(compute_logits, split, resolution, preprocessing, batch_size, device)
    return correct.double().mean().item()


def find_correct(
    compute_logits: ComputeLogits,
    split: Split,
    resolution: int,
    preprocessing: Preprocessing,
    batch_size: int = 256,
    device: torch.device | str = "cpu",
) -> Tensor:
    """Return which images are classified correctly: bool (N,), on the CPU, in split order.

    A comparison of two networks image by image has less noise than that of their accuracies.
    The batches are halved when memory runs out.
    """
    while True:
        try:
            with torch.inference_mode():
                found = []
                for indices in torch.split(torch.arange(len(split)), batch_size):
                    images = split.images(indices).to(device)
                    logits = compute_logits(preprocess(images, resolution, preprocessing))
                    found.append(logits.argmax(1).cpu() == split.labels[indices])
                return torch.cat(found)
        except (RuntimeError, MemoryError) as error:
            if batch_size == 1 or not is_out_of_memory(error):
                raise
        # Outside the handler, because the exception keeps the feature maps alive.
        release_memory(torch.device(device))
        batch_size //= 2
