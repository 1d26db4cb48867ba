"""`Recipe`: how a network or a supernet is trained, as plain data. Light to import.

The defaults are the recipe of the papers, scaled to the data set (`default_recipe`).
"""

from __future__ import annotations

import math
from typing import Any, Literal, Protocol, get_args

import msgspec

from gnv2_nas.arch import Architecture, GhostBlock
from gnv2_nas.errors import InputError

Precision = Literal["fp32", "bf16", "fp16"]
Sampling = Literal["genes", "macs"]
RecipeName = Literal["v2", "v3"]
"""The published trainings: that of GhostNet and GhostNetV2, and that of GhostNetV3."""
RECIPES: tuple[str, ...] = get_args(RecipeName)

BRANCHES = 3
"""Equal convolutions in place of each one, as in the authors' code of GhostNetV3."""

PAPER_BATCH_SIZE = 1024
PAPER_LEARNING_RATE = 0.4
"""Peak rate of SGD for `PAPER_BATCH_SIZE` images."""


class Recipe(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Everything that decides what a step does, except data, network and seed.

    Raises:
        InputError: a value is out of range; the message names the field.
    """

    steps: int
    """Number of updates of the weights."""
    batch_size: int
    """Images of one update, over all processes and micro-batches."""
    learning_rate: float
    """Peak learning rate, at the end of the warm-up; from there a cosine falls to 0."""
    optimizer: Literal["sgd", "adamw"] = "sgd"
    """SGD has Nesterov momentum 0.9; AdamW has betas 0.9 and 0.999."""
    weight_decay: float = 4e-5
    """Weight decay of convolutions and linear layers; norms and biases have none."""
    warmup: float = 0.0125
    """Share of the steps in which the learning rate rises from 0."""
    label_smoothing: float = 0.1
    dropout: float = 0.2
    """Dropout rate before the classifier."""
    clip_norm: float = 0.0
    """Maximum norm of all gradients together; 0 does not clip."""
    ema_decay: float = 0.9999
    """Decay of the moving average of the weights, which is evaluated and saved."""
    branches: int = 1
    """Equal convolutions with batch norm in place of each one of a Ghost module, folded into one
    at the end. More than 1 adds further branches as well, see `nn.branches`."""
    augmentation: float = 1.0
    """Strength of the random changes, relative to those of the data set; 0 is none."""
    precision: Precision = "fp32"
    """Number format of the forward pass; the weights stay float32."""
    channels_last: bool = True
    """Memory format of images and kernels; False means channels first."""
    accumulate: int = 1
    """Micro-batches in a batch; their gradients add up, batch norm sees each alone."""
    evaluations: int = 20
    """Number of evaluations on the held-out images, evenly spread, the last one at the end."""
    random_networks: int = 2
    """Random networks of a supernet in each step, besides the largest and the smallest."""
    distillation: float = 1.0
    """Share of distillation in the loss of a supernet's other networks, from the largest one, or
    of a network that has a teacher; the rest is the loss on the labels."""
    temperature: float = 1.0
    """Divides the logits of a teacher and its pupil before they are compared."""
    sampling: Sampling = "genes"
    """How a supernet's random networks are sampled: uniform genes or uniform multiply-adds."""
    recalibration_images: int = 512
    """Training images that recalibrate batch norm before a supernet is evaluated."""

    def __post_init__(self) -> None:
        for name in ("steps", "batch_size", "accumulate", "evaluations", "branches"):
            self._require(name, getattr(self, name) >= 1, "at least 1")
        self._require("batch_size", self.batch_size >= 2, "at least 2, which batch norm needs")
        self._require("learning_rate", 0 < self.learning_rate < math.inf, "above 0 and finite")
        for name in ("weight_decay", "clip_norm", "augmentation"):
            self._require(name, 0 <= getattr(self, name) < math.inf, "0 or more and finite")
        for name in ("warmup", "label_smoothing", "dropout", "ema_decay"):
            self._require(name, 0 <= getattr(self, name) < 1, "from 0 to below 1")
        self._require("temperature", 0 < self.temperature < math.inf, "above 0 and finite")
        self._require("distillation", 0 <= self.distillation <= 1, "from 0 to 1")
        self._require("random_networks", self.random_networks >= 0, "0 or more")
        self._require("recalibration_images", self.recalibration_images >= 2, "at least 2")
        half = self.batch_size // 2
        self._require("accumulate", self.accumulate <= half, f"at most half of batch_size, {half}")

    def _require(self, name: str, holds: bool, rule: str) -> None:
        if not holds:
            raise InputError(f"{name} must be {rule}, but got {getattr(self, name)}")

    def replace(self, **changes: Any) -> Recipe:
        """Return a copy with other values of some fields."""
        return msgspec.structs.replace(self, **changes)


def check_branches(arch: Architecture) -> None:
    """Check that every block has convolutions that get branches.

    Raises:
        InputError: a block is not a Ghost bottleneck.
    """
    for number, block in enumerate(arch.blocks):
        if not isinstance(block, GhostBlock):
            raise InputError(
                f"recipe v3 adds branches to Ghost modules, but block {number} of network "
                f"{arch.id} is an inverted residual; use recipe v2"
            )


class _Sized(Protocol):
    def __len__(self) -> int: ...


class HasTrainingImages(Protocol):
    """A data set whose training images can be counted."""

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
    name: RecipeName = "v2",
    taught: bool = False,
) -> Recipe:
    """The recipe of the papers, scaled to the number of training images.

    Kept from the papers: SGD with momentum 0.9, a learning rate of 0.4 for 1024 images, a cosine
    schedule, 5 of 400 epochs of warm-up, weight decay 4e-5, label smoothing 0.1, dropout 0.2, an
    average of the weights. Sources: the GhostNet authors' answers (iamhankai/ghostnet.pytorch,
    issues 3 and 18) and GhostNetV2's published command (huawei-noah/Efficient-AI-Backbones,
    ghostnetv2_pytorch/README.md).

    Scaled to the data: the batch size; the learning rate with the square root of the batch size,
    because short trainings need larger steps than a linear rule gives; the number of steps; the
    warm-up (50 steps, 10 % at most); the span of the average (5 % of the steps, at most 10,000).
    A supernet is trained as in BigNAS (Yu et al. 2020): sandwich rule, in-place distillation,
    clipped gradients, no dropout.

    Args:
        epochs, steps: length of the training; give one of them or neither.
        inherited: whether training starts from trained weights; it then takes half the epochs and
            a quarter of the learning rate.
        taught: whether there is a teacher; its answers and the labels then count for one half each.
        name: "v3" trains a network with the branches of GhostNetV3.

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
        branches=BRANCHES if name == "v3" else 1,
        distillation=0.5 if taught else 1.0,
    )
    return recipe.replace(dropout=0.0, clip_norm=1.0, evaluations=4) if supernet else recipe


def _batch_size(images: int, *, supernet: bool) -> int:
    """Largest power of two up to the square root of the images, which is 1024 for ImageNet.

    At least 16 (64 for a supernet, whose steps hardly become faster below) and at most a quarter
    of the images.
    """
    usual = max(math.sqrt(images), 64 if supernet else 16)
    wanted = min(usual, PAPER_BATCH_SIZE, max(images / 4, 2))
    return int(2 ** math.floor(math.log2(wanted)))


def _steps(
    images: int, batch_size: int, epochs: float | None, steps: int | None, usual: float
) -> int:
    """Number of updates; `usual` is the default number of epochs for a thousand images."""
    if steps is not None:
        if epochs is not None:
            raise InputError(f"either epochs or steps, but got epochs={epochs} and steps={steps}")
        return steps
    if epochs is None:
        # 12 epochs of a thousand images, 60 of ten million; the papers train for 400.
        epochs = usual * max(1.0, math.log10(max(images, 1)) - 2)
    return max(1, round(epochs * images / batch_size))
