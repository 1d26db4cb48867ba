"""Training of a supernet: several of its networks in every step (the sandwich rule)."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gnv2_nas.arch import Architecture
from gnv2_nas.data import Dataset
from gnv2_nas.data.batches import PreprocessedImages, sample_indices
from gnv2_nas.graph import count
from gnv2_nas.nn.interpreter import cached_lower, run_graph
from gnv2_nas.nn.supernet import Supernet, recalibrate
from gnv2_nas.space import SearchSpace
from gnv2_nas.training.context import TrainingContext, derive_seed
from gnv2_nas.training.recipe import Recipe
from gnv2_nas.training.task import Evaluation, measure_accuracy

_CANDIDATES = 8
"""Random networks to choose from; the one nearest to the wanted multiply-adds is taken."""


class Sandwich:
    """The sandwich rule (Yu and Huang 2019): the largest network, random ones, the smallest.

    All networks of a step share one resolution, because distillation needs the same images, and
    because the largest network at the largest resolution would take most of the time. Resolutions
    are sampled uniformly: one that is trained less is ranked too low.

    Everything is a function of seed and step, the same in every process.
    """

    def __init__(self, space: SearchSpace, recipe: Recipe, seed: int) -> None:
        self._space = space
        self._recipe = recipe
        self._seed = seed

    def resolution(self, step: int) -> int:
        """Width of the images of that step, pixels."""
        return self._random("resolution", step).choice(self._space.resolutions)

    def networks(self, step: int) -> list[Architecture]:
        """Sample the networks of that step, the largest first."""
        resolution = self.resolution(step)
        rng = self._random("networks", step)
        largest, smallest = extremes(self._space, resolution)
        between = [
            self._sample_between(rng, smallest, largest)
            for _ in range(self._recipe.random_networks)
        ]
        return [largest, *between, smallest]

    def _sample_between(
        self, rng: random.Random, smallest: Architecture, largest: Architecture
    ) -> Architecture:
        if self._recipe.sampling == "genes":
            return self._sample(rng, largest.resolution)
        wanted = rng.uniform(count(smallest).macs, count(largest).macs)
        candidates = [self._sample(rng, largest.resolution) for _ in range(_CANDIDATES)]
        return min(candidates, key=lambda arch: abs(count(arch).macs - wanted))

    def _sample(self, rng: random.Random, resolution: int) -> Architecture:
        params = self._space.sample_params(rng)
        return self._space.decode(self._space.at_resolution(params, resolution))

    def _random(self, purpose: str, step: int) -> random.Random:
        return random.Random(derive_seed(self._seed, purpose, step))


def extremes(space: SearchSpace, resolution: int) -> tuple[Architecture, Architecture]:
    """Return the largest and the smallest network of a space at a resolution."""
    largest, smallest = (
        space.decode(space.at_resolution(params, resolution))
        for params in (space.largest(), space.smallest())
    )
    return largest, smallest


class SupernetTask:
    """Sandwich rule and in-place distillation (BigNAS, Yu et al. 2020, sec. 3.1).

    The largest network learns from the labels. The others learn from its answers to the same
    images. Only the largest network has dropout, because the others overfit less.
    """

    def __init__(
        self, supernet: Supernet, space: SearchSpace, dataset: Dataset, context: TrainingContext
    ) -> None:
        self.module = supernet
        self._space = space
        self._dataset = dataset
        self._context = context
        self._sandwich = Sandwich(space, context.recipe, context.seed)
        count = context.recipe.recalibration_images
        chosen = sample_indices(
            len(dataset.train), count, derive_seed(context.seed, "recalibration")
        )
        self._calibration = PreprocessedImages(
            dataset.train, chosen, dataset.preprocessing, context.device
        )

    def resolution(self, step: int) -> int:
        return self._sandwich.resolution(step)

    def losses(self, images: Tensor, labels: Tensor, step: int) -> Iterator[Tensor]:
        recipe = self._context.recipe
        largest, *others = self._sandwich.networks(step)
        logits = self._logits(images, largest, recipe.dropout)
        answers = logits.detach().softmax(1)
        yield F.cross_entropy(logits, labels, label_smoothing=recipe.label_smoothing)
        # Frees the feature maps.
        del logits
        for arch in others:
            yield self._distillation_loss(self._logits(images, arch), answers, labels)

    def evaluate(self, module: nn.Module) -> Evaluation:
        supernet = cast(Supernet, module)
        resolutions = self._space.resolutions
        largest, _ = extremes(self._space, max(resolutions))
        _, smallest = extremes(self._space, min(resolutions))
        return Evaluation(self._accuracy(supernet, largest), self._accuracy(supernet, smallest))

    def deployed(self, module: nn.Module) -> nn.Module:
        return module.eval()

    def _logits(self, images: Tensor, arch: Architecture, dropout: float = 0.0) -> Tensor:
        with self._context.precision.autocast():
            logits: Tensor = self.module(images, arch, dropout)
        return logits.float()

    def _distillation_loss(self, logits: Tensor, answers: Tensor, labels: Tensor) -> Tensor:
        """Cross-entropy with the largest network's answers, mixed with that of the labels.

        The former is the Kullback-Leibler divergence up to a constant.
        """
        recipe = self._context.recipe
        loss = recipe.distillation * F.cross_entropy(logits, answers)
        if recipe.distillation < 1:
            smoothing = recipe.label_smoothing
            to_labels = F.cross_entropy(logits, labels, label_smoothing=smoothing)
            loss = loss + (1 - recipe.distillation) * to_labels
        return loss

    def _accuracy(self, supernet: Supernet, arch: Architecture) -> float:
        """Accuracy on the held-out images after recalibration of batch norm."""
        graph = cached_lower(arch)
        with torch.inference_mode():
            tensors = supernet.tensors(arch)
            batches = self._calibration.batches(arch.resolution)
            statistics = recalibrate(arch, tensors, batches)
        return measure_accuracy(
            lambda images: run_graph(graph, tensors, images, statistics=statistics),
            self._dataset.val,
            arch.resolution,
            self._dataset.preprocessing,
            device=self._context.device,
        )
