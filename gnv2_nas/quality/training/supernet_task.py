"""Training of a supernet: several of its networks in every step."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gnv2_nas.arch import Architecture
from gnv2_nas.data import Dataset
from gnv2_nas.data.prepared_images import PreparedImages, drawn
from gnv2_nas.nn.interpreter import lowered, run_graph
from gnv2_nas.nn.supernet import Supernet, recalibrate
from gnv2_nas.quality.training.conditions import Conditions
from gnv2_nas.quality.training.evaluation import accuracy
from gnv2_nas.quality.training.randomness import seed_of
from gnv2_nas.quality.training.sandwich import Sandwich, extremes
from gnv2_nas.quality.training.task import Evaluation
from gnv2_nas.space import SearchSpace


class SupernetTask:
    """Sandwich rule and distillation in place (BigNAS, Yu et al. 2020, sec. 3.1).

    The largest network learns from the labels; the others learn from its answers to the same
    images, as they were before the step. Only the largest has dropout: the others have less to
    forget.
    """

    def __init__(
        self, supernet: Supernet, space: SearchSpace, dataset: Dataset, conditions: Conditions
    ) -> None:
        self.module = supernet
        self._space = space
        self._dataset = dataset
        self._conditions = conditions
        self._sandwich = Sandwich(space, conditions.recipe, conditions.seed)
        count = conditions.recipe.recalibration_images
        chosen = drawn(len(dataset.train), count, seed_of(conditions.seed, "recalibration"))
        self._calibration = PreparedImages(
            dataset.train, chosen, dataset.preprocessing, conditions.device
        )

    def resolution(self, step: int) -> int:
        return self._sandwich.resolution(step)

    def losses(self, images: Tensor, labels: Tensor, step: int) -> Iterator[Tensor]:
        recipe = self._conditions.recipe
        largest, *others = self._sandwich.networks(step)
        logits = self._logits(images, largest, recipe.dropout)
        answers = logits.detach().softmax(1)
        yield F.cross_entropy(logits, labels, label_smoothing=recipe.label_smoothing)
        # Its feature maps are not needed any more.
        del logits
        for arch in others:
            yield self._distilled(self._logits(images, arch), answers, labels)

    def evaluate(self, module: nn.Module) -> Evaluation:
        supernet = cast(Supernet, module)
        resolutions = self._space.resolutions
        largest, _ = extremes(self._space, max(resolutions))
        _, smallest = extremes(self._space, min(resolutions))
        return Evaluation(self._accuracy(supernet, largest), self._accuracy(supernet, smallest))

    def _logits(self, images: Tensor, arch: Architecture, dropout: float = 0.0) -> Tensor:
        with self._conditions.precision.autocast():
            logits: Tensor = self.module(images, arch, dropout)
        return logits.float()

    def _distilled(self, logits: Tensor, answers: Tensor, labels: Tensor) -> Tensor:
        """The difference to the largest network's answers (Kullback-Leibler, up to a constant),
        and as much of that to the labels as the recipe asks for."""
        recipe = self._conditions.recipe
        loss = recipe.distillation * F.cross_entropy(logits, answers)
        if recipe.distillation < 1:
            smoothing = recipe.label_smoothing
            to_labels = F.cross_entropy(logits, labels, label_smoothing=smoothing)
            loss = loss + (1 - recipe.distillation) * to_labels
        return loss

    def _accuracy(self, supernet: Supernet, arch: Architecture) -> float:
        """On the held-out images, with batch norm's statistics measured for this network."""
        graph = lowered(arch)
        with torch.inference_mode():
            tensors = supernet.tensors(arch)
            batches = self._calibration.batches(arch.resolution)
            statistics = recalibrate(arch, tensors, batches)
        return accuracy(
            lambda images: run_graph(graph, tensors, images, statistics=statistics),
            self._dataset.val,
            arch.resolution,
            self._dataset.preprocessing,
            device=self._conditions.device,
        )
