"""What the `Trainer` asks of a task, and the training of one network on labels."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gnv2_nas.arch import Preprocessing
from gnv2_nas.data import Dataset, Split, preprocess
from gnv2_nas.nn import Network
from gnv2_nas.nn.interpreter import cached_lower, run_graph
from gnv2_nas.training.context import TrainingContext, is_out_of_memory, release_memory


class Evaluation(NamedTuple):
    """What came of looking at the held-out images."""

    accuracy: float
    """Top-1, 0..1; of a supernet's largest network."""
    smallest_accuracy: float | None = None
    """Of a supernet's smallest network."""


class TrainingTask(Protocol):
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


ComputeLogits = Callable[[Tensor], Tensor]


def measure_accuracy(
    logits_of: ComputeLogits,
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
    logits_of: ComputeLogits,
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
            if batch_size == 1 or not is_out_of_memory(error):
                raise
        # Outside of the handler: the exception holds on to the feature maps.
        release_memory(torch.device(device))
        batch_size //= 2


@torch.inference_mode()
def _correctness(
    logits_of: ComputeLogits,
    split: Split,
    resolution: int,
    preprocessing: Preprocessing,
    batch_size: int,
    device: torch.device | str,
) -> Tensor:
    found = []
    for indices in torch.split(torch.arange(len(split)), batch_size):
        images = preprocess(split.images(indices).to(device), resolution, preprocessing)
        found.append(logits_of(images).argmax(1).cpu() == split.labels[indices])
    return torch.cat(found)


BATCH_NORM_MOMENTUM = 0.1
"""Share of each batch in batch norm's running statistics: torch's own, as in the papers."""


class NetworkTask:
    """Cross-entropy with label smoothing (Szegedy et al. 2016, sec. 7)."""

    def __init__(self, network: Network, dataset: Dataset, context: TrainingContext) -> None:
        self.module = network
        self._dataset = dataset
        self._context = context
        self._graph = cached_lower(network.architecture)
        self._weights = dict(network.named_parameters())
        self._statistics = dict(network.named_buffers())

    def resolution(self, step: int) -> int:  # noqa: ARG002
        return self.module.architecture.resolution

    def losses(self, images: Tensor, labels: Tensor, step: int) -> Iterator[Tensor]:  # noqa: ARG002
        with self._context.precision.autocast():
            logits = run_graph(
                self._graph,
                self._weights,
                images,
                statistics=self._statistics,
                momentum=BATCH_NORM_MOMENTUM,
                dropout=self._context.recipe.dropout,
            )
        smoothing = self._context.recipe.label_smoothing
        yield F.cross_entropy(logits.float(), labels, label_smoothing=smoothing)

    def evaluate(self, module: nn.Module) -> Evaluation:
        module.eval()
        return Evaluation(
            measure_accuracy(
                module,
                self._dataset.val,
                self.module.architecture.resolution,
                self._dataset.preprocessing,
                device=self._context.device,
            )
        )
