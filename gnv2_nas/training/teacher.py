"""`Teacher`: a trained network whose answers another one learns from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from gnv2_nas.arch import Preprocessing
from gnv2_nas.checkpoints.checkpoint import read_architecture, read_preprocessing
from gnv2_nas.data import Dataset
from gnv2_nas.errors import InputError
from gnv2_nas.nn import Network, build_model, load_weights


@dataclass(frozen=True)
class Teacher:
    """A network in evaluation mode, and the normalisation that it was trained with."""

    name: str
    network: Network
    preprocessing: Preprocessing

    @torch.no_grad()
    def answer(self, images: Tensor, preprocessing: Preprocessing) -> Tensor:
        """Logits of images that were normalised by `preprocessing`."""
        if (preprocessing.mean, preprocessing.std) != (
            self.preprocessing.mean,
            self.preprocessing.std,
        ):
            mean, std, own_mean, own_std = (
                images.new_tensor(values).view(1, 3, 1, 1)
                for values in (
                    preprocessing.mean,
                    preprocessing.std,
                    self.preprocessing.mean,
                    self.preprocessing.std,
                )
            )
            images = (images * std + mean - own_mean) / own_std
        logits: Tensor = self.network(images)
        return logits


def read_teacher(path: Path, dataset: Dataset, resolution: int) -> Teacher:
    """Read a file that `gnv2-nas train` wrote.

    Raises:
        CheckpointError: the file is missing, damaged, or not the weights of a network.
        InputError: the teacher has other classes or another input size.
    """
    arch, preprocessing = read_architecture(path), read_preprocessing(path)
    if preprocessing is None or preprocessing.classes != dataset.preprocessing.classes:
        raise InputError(
            f"teacher {str(path)!r} answers with {arch.num_classes} classes that are not the "
            f"{len(dataset.classes)} of {dataset.name}; train it on the same classes"
        )
    if arch.resolution != resolution:
        raise InputError(
            f"teacher {str(path)!r} reads images of {arch.resolution} px and the network of "
            f"{resolution} px; name a teacher of {resolution} px"
        )
    network = load_weights(build_model(arch), path).eval().requires_grad_(requires_grad=False)
    return Teacher(path.name, network, preprocessing)


def distillation_loss(logits: Tensor, answers: Tensor, temperature: float) -> Tensor:
    """Kullback-Leibler divergence of softened answers, times the square of the temperature
    (Hinton et al. 2015, sec. 2), so that its gradients do not shrink with the temperature."""
    return temperature**2 * F.kl_div(
        (logits / temperature).log_softmax(1),
        (answers / temperature).log_softmax(1),
        reduction="batchmean",
        log_target=True,
    )
