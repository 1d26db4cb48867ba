"""What the `Trainer` asks of a task, and the training of one network on labels."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gnv2_nas.arch import Architecture, Preprocessing
from gnv2_nas.data import Dataset, Split, preprocess
from gnv2_nas.nn import Network, load_weights, read_weights
from gnv2_nas.nn.branches import BATCH_NORM_MOMENTUM, BranchedNetwork
from gnv2_nas.nn.interpreter import cached_lower, run_graph
from gnv2_nas.training.context import (
    TrainingContext,
    derive_seed,
    is_out_of_memory,
    release_memory,
    seed_torch,
)
from gnv2_nas.training.recipe import Recipe, check_branches
from gnv2_nas.training.teacher import Teacher, distillation_loss


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

    def deployed(self, module: nn.Module) -> nn.Module:
        """Return what is saved of `module`, a copy of `self.module`, in evaluation mode."""
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


class NetworkTask:
    """Cross-entropy with label smoothing (Szegedy et al. 2016, sec. 7).

    Args:
        module: the network, perhaps with branches.
        teacher: network whose answers count for the share `distillation` of the loss.
    """

    def __init__(
        self,
        module: Network | BranchedNetwork,
        dataset: Dataset,
        context: TrainingContext,
        teacher: Teacher | None = None,
    ) -> None:
        self._teacher = teacher
        if teacher is not None:
            context.place(teacher.network)
        self.module: nn.Module = module
        network = module.network if isinstance(module, BranchedNetwork) else module
        self._branches = module.by_weight() if isinstance(module, BranchedNetwork) else {}
        self._resolution = network.architecture.resolution
        self._dataset = dataset
        self._context = context
        self._graph = cached_lower(network.architecture)
        self._weights = dict(network.named_parameters())
        self._statistics = dict(network.named_buffers())

    def resolution(self, step: int) -> int:  # noqa: ARG002
        return self._resolution

    def losses(self, images: Tensor, labels: Tensor, step: int) -> Iterator[Tensor]:  # noqa: ARG002
        with self._context.precision.autocast():
            logits = run_graph(
                self._graph,
                self._weights,
                images,
                statistics=self._statistics,
                momentum=BATCH_NORM_MOMENTUM,
                dropout=self._context.recipe.dropout,
                branches=self._branches,
            )
            teacher, preprocessing = self._teacher, self._dataset.preprocessing
            answers = None if teacher is None else teacher.answer(images, preprocessing)
        recipe, logits = self._context.recipe, logits.float()
        loss = F.cross_entropy(logits, labels, label_smoothing=recipe.label_smoothing)
        if answers is not None:
            taught = distillation_loss(logits, answers.float(), recipe.temperature)
            loss = (1 - recipe.distillation) * loss + recipe.distillation * taught
        yield loss

    def evaluate(self, module: nn.Module) -> Evaluation:
        network, data, device = self.deployed(module), self._dataset, self._context.device
        return Evaluation(
            measure_accuracy(network, data.val, self._resolution, data.preprocessing, device=device)
        )

    def deployed(self, module: nn.Module) -> nn.Module:
        return (module.fold() if isinstance(module, BranchedNetwork) else module).eval()


def add_branches(network: Network, recipe: Recipe, seed: int) -> Network | BranchedNetwork:
    """Return what is trained: the network, with the branches of the recipe, which add 0 at first.

    Raises:
        InputError: the network has blocks that the branches are not defined for.
    """
    if recipe.branches == 1:
        return network
    check_branches(network.architecture)
    with seed_torch(derive_seed(seed, "branches")):
        return BranchedNetwork(network, recipe.branches, silent=True)


_CLASSIFIER = "classifier."
_STATISTICS = (".running_mean", ".running_var", ".num_batches_tracked")


def make_initial_network(
    arch: Architecture, dropout: float, seed: int, initial: Mapping[str, Tensor] | None
) -> tuple[Network, str]:
    """Make the module to be trained, and a message about its weights ("" if there is none).

    Args:
        seed: seed of the random weights.
        initial: a state dict of the same network, or a checkpoint that contains one. A classifier
            with another number of classes is replaced by random weights.

    Raises:
        CheckpointError: `initial` is of another network.
    """
    with seed_torch(derive_seed(seed, "weights")):
        network = Network(arch, dropout)
    if initial is None:
        return network, ""
    tensors = read_weights(initial, arch, any_classes=True)
    classes = len(tensors[f"{_CLASSIFIER}weight"])
    if classes == arch.num_classes:
        load_weights(network, tensors)
        return network, ""
    own = network.state_dict()
    load_weights(
        network,
        {key: own[key] if key.startswith(_CLASSIFIER) else tensors[key] for key in tensors},
    )
    return network, (
        f"the weights have {classes} classes and the data {arch.num_classes}: "
        "the classifier starts from random weights"
    )


def hash_weights(tensors: Mapping[str, Tensor]) -> str:
    """Hash names and values to 12 hexadecimal digits.

    Batch-norm statistics are left out: training replaces them, and recalibrating a network from
    a supernet on a GPU gives slightly different ones each time.
    """
    digest = hashlib.sha256()
    for name in sorted(tensors):
        if name.endswith(_STATISTICS):
            continue
        digest.update(name.encode())
        tensor = tensors[name].detach().cpu().contiguous()
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()[:12]
