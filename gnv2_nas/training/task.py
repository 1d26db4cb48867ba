"""What the `Trainer` asks of a task, and the training of one network on labels."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gnv2_nas.arch import Preprocessing
from gnv2_nas.data import Dataset, Split, prepared
from gnv2_nas.nn import Network
from gnv2_nas.nn.interpreter import lowered, run_graph
from gnv2_nas.training.context import Conditions, ran_out, release


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


LogitsOf = Callable[[Tensor], Tensor]


def accuracy(
    logits_of: LogitsOf,
    split: Split,
    resolution: int,
    preprocessing: Preprocessing,
    batch_size: int = 256,
    device: torch.device | str = "cpu",
) -> float:
    """Share of the images whose largest logit is that of their label (top-1), 0..1.

    Args:
        logits_of: prepared images (B, 3, resolution, resolution) → logits (B, classes), in
            evaluation mode.
    """
    right = correctness(logits_of, split, resolution, preprocessing, batch_size, device)
    return right.double().mean().item()


def correctness(
    logits_of: LogitsOf,
    split: Split,
    resolution: int,
    preprocessing: Preprocessing,
    batch_size: int = 256,
    device: torch.device | str = "cpu",
) -> Tensor:
    """Which images are classified rightly: bool (N,), on the CPU, in the order of the split.

    Two networks compared image by image differ with less noise than their accuracies. Where memory
    runs out the batches are halved.
    """
    while True:
        try:
            return _correctness(logits_of, split, resolution, preprocessing, batch_size, device)
        except (RuntimeError, MemoryError) as error:
            if batch_size == 1 or not ran_out(error):
                raise
        # Outside of the handler: the exception holds on to the feature maps.
        release(torch.device(device))
        batch_size //= 2


@torch.inference_mode()
def _correctness(
    logits_of: LogitsOf,
    split: Split,
    resolution: int,
    preprocessing: Preprocessing,
    batch_size: int,
    device: torch.device | str,
) -> Tensor:
    found = []
    for indices in torch.split(torch.arange(len(split)), batch_size):
        images = prepared(split.images(indices).to(device), resolution, preprocessing)
        found.append(logits_of(images).argmax(1).cpu() == split.labels[indices])
    return torch.cat(found)


MOMENTUM = 0.1
"""Share of each batch in batch norm's running statistics: torch's own, as in the papers."""


class NetworkTask:
    """Cross-entropy with label smoothing (Szegedy et al. 2016, sec. 7)."""

    def __init__(self, network: Network, dataset: Dataset, conditions: Conditions) -> None:
        self.module = network
        self._dataset = dataset
        self._conditions = conditions
        self._graph = lowered(network.architecture)
        self._weights = dict(network.named_parameters())
        self._statistics = dict(network.named_buffers())

    def resolution(self, step: int) -> int:  # noqa: ARG002
        return self.module.architecture.resolution

    def losses(self, images: Tensor, labels: Tensor, step: int) -> Iterator[Tensor]:  # noqa: ARG002
        with self._conditions.precision.autocast():
            logits = run_graph(
                self._graph,
                self._weights,
                images,
                statistics=self._statistics,
                momentum=MOMENTUM,
                dropout=self._conditions.recipe.dropout,
            )
        smoothing = self._conditions.recipe.label_smoothing
        yield F.cross_entropy(logits.float(), labels, label_smoothing=smoothing)

    def evaluate(self, module: nn.Module) -> Evaluation:
        module.eval()
        return Evaluation(
            accuracy(
                module,
                self._dataset.val,
                self.module.architecture.resolution,
                self._dataset.preprocessing,
                device=self._conditions.device,
            )
        )
