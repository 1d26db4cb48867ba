"""`Recipe`: how a network or a supernet is trained, as plain data; imports nothing heavy.

The defaults are the recipe of the papers, scaled to the data set (`default_recipe`).
"""

from __future__ import annotations

import math
from typing import Any, Literal, Protocol

import msgspec

from gnv2_nas.errors import InputError

Precision = Literal["fp32", "bf16", "fp16"]
Sampling = Literal["genes", "macs"]

PAPER_BATCH_SIZE = 1024
PAPER_LEARNING_RATE = 0.4
"""Peak rate of SGD for `PAPER_BATCH_SIZE` images."""


class Recipe(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Everything that decides what a step does, besides data, network and seed.

    Raises:
        InputError: a value is out of range; the message names the field.
    """

    steps: int
    """Updates of the weights in all."""
    batch_size: int
    """Images of one update, over all processes and micro-batches."""
    learning_rate: float
    """At the end of the warm-up, for this batch size; from there it falls as a cosine to 0."""
    optimizer: Literal["sgd", "adamw"] = "sgd"
    """SGD has Nesterov momentum 0.9; AdamW its usual betas, 0.9 and 0.999."""
    weight_decay: float = 4e-5
    """Of convolutions and linear layers; norms and biases have none."""
    warmup: float = 0.0125
    """Share of the steps in which the learning rate rises from 0."""
    label_smoothing: float = 0.1
    dropout: float = 0.2
    """Before the classifier."""
    clip_norm: float = 0.0
    """Largest norm of all gradients together; 0 does not clip."""
    ema_decay: float = 0.9999
    """Of the moving average of the weights, which is what is evaluated and saved."""
    augmentation: float = 1.0
    """Strength, relative to what suits the data set; 0 leaves it out."""
    precision: Precision = "fp32"
    """Of the forward pass; the weights stay float32."""
    channels_last: bool = True
    """Memory layout of images and kernels; False is torch's own, channels first."""
    accumulate: int = 1
    """Micro-batches in a batch: their gradients add up, batch norm sees each alone."""
    evaluations: int = 20
    """How often the held-out images are looked at, evenly spread, the last time at the end."""
    random_networks: int = 2
    """Of a supernet, trained in each step besides the largest and the smallest."""
    distillation: float = 1.0
    """Share of the loss of all but a supernet's largest network that is the difference to the
    largest one's answers; the rest is that to the labels."""
    sampling: Sampling = "genes"
    """A supernet's random networks: every gene uniformly, or multiply-adds uniformly."""
    recalibration_images: int = 512
    """Training images that give batch norm's statistics before a supernet is evaluated."""

    def __post_init__(self) -> None:
        for name in ("steps", "batch_size", "accumulate", "evaluations"):
            self._require(name, getattr(self, name) >= 1, "at least 1")
        self._require("batch_size", self.batch_size >= 2, "at least 2, which batch norm needs")
        self._require("learning_rate", 0 < self.learning_rate < math.inf, "above 0 and finite")
        for name in ("weight_decay", "clip_norm", "augmentation"):
            self._require(name, 0 <= getattr(self, name) < math.inf, "0 or more and finite")
        for name in ("warmup", "label_smoothing", "dropout", "ema_decay"):
            self._require(name, 0 <= getattr(self, name) < 1, "from 0 to below 1")
        self._require("distillation", 0 <= self.distillation <= 1, "from 0 to 1")
        self._require("random_networks", self.random_networks >= 0, "0 or more")
        self._require("recalibration_images", self.recalibration_images >= 2, "at least 2")
        most = self.batch_size // 2
        self._require("accumulate", self.accumulate <= most, f"at most half of batch_size, {most}")

    def _require(self, name: str, holds: bool, rule: str) -> None:
        if not holds:
            raise InputError(f"{name} must be {rule}, but got {getattr(self, name)}")

    def replace(self, **changes: Any) -> Recipe:
        """A copy with other values of some fields."""
        return msgspec.structs.replace(self, **changes)


class _Sized(Protocol):
    def __len__(self) -> int: ...


class HasTrainingImages(Protocol):
    """A data set, as far as its size goes."""

    @property
    def train(self) -> _Sized: ...


def default_recipe(
    dataset: HasTrainingImages,
    *,
    supernet: bool = False,
    epochs: float | None = None,
    steps: int | None = None,
    batch_size: int | None = None,
    inherited: bool = False,
) -> Recipe:
    """The recipe of the papers, scaled to the number of training images.

    Kept, from what the authors of GhostNet answered to those who trained it again
    (iamhankai/ghostnet.pytorch, issues 3 and 18) and from the command GhostNetV2 was published
    with (huawei-noah/Efficient-AI-Backbones, ghostnetv2_pytorch/README.md): SGD with momentum 0.9,
    a learning rate of 0.4 for 1024 images, cosine schedule, 5 of 400 epochs of warm-up, weight
    decay 4e-5, label smoothing 0.1, dropout 0.2, an average of the weights. Scaled: the batch size
    (1024 images would be a whole small data set), the learning rate with its square root, as a
    short training needs longer steps than a linear rule leaves it, the number of steps, the
    warm-up, 50 steps where that is not too many, and the span of the average: 5 % of the steps, at
    most 10,000 as in the command. A supernet learns as in BigNAS (Yu et al. 2020): sandwich rule,
    distillation in place, clipped gradients, and no dropout.

    Args:
        epochs, steps: length, one of them or neither.
        inherited: the weights start from trained ones: half the epochs and a quarter of the
            learning rate.

    Raises:
        InputError: both lengths are given, or a value is out of range.
    """
    images = len(dataset.train)
    batch = batch_size or _batch_size(images, supernet=supernet)
    usual = (7.0 if supernet else 12.0) * (0.5 if inherited else 1.0)
    length = _steps(images, batch, epochs, steps, usual)
    rate = PAPER_LEARNING_RATE * math.sqrt(batch / PAPER_BATCH_SIZE) * (0.25 if inherited else 1.0)
    recipe = Recipe(
        steps=length,
        batch_size=batch,
        learning_rate=rate,
        warmup=max(0.0125, min(0.1, 50 / length)),
        ema_decay=1 - max(1e-4, min(0.5, 20 / length)),
    )
    return recipe.replace(dropout=0.0, clip_norm=1.0, evaluations=4) if supernet else recipe


def _batch_size(images: int, *, supernet: bool) -> int:
    """The power of two next below the square root of the images, which for ImageNet is the papers'
    1024. At least 16, at most a quarter of the images; of a supernet at least 64, below which much
    of a step takes as long for fewer."""
    usual = max(math.sqrt(images), 64 if supernet else 16)
    wanted = min(usual, PAPER_BATCH_SIZE, max(images / 4, 2))
    return int(2 ** math.floor(math.log2(wanted)))


def _steps(
    images: int, batch_size: int, epochs: float | None, steps: int | None, usual: float
) -> int:
    """Number of updates; `usual` is the number of epochs for a thousand images."""
    if steps is not None:
        if epochs is not None:
            raise InputError(f"either epochs or steps, but got epochs={epochs} and steps={steps}")
        return steps
    if epochs is None:
        # The more there is to learn the longer it takes: 12 epochs of a thousand images, 60 of
        # ten million. The papers' 400 are for those who have the days.
        epochs = usual * max(1.0, math.log10(max(images, 1)) - 2)
    return max(1, round(epochs * images / batch_size))
