"""`Teacher`: a trained network whose answers another one learns from."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gnv2_nas.arch import Preprocessing


@dataclass(frozen=True)
class Teacher:
    """A network in evaluation mode, and the normalisation that it was trained with."""

    name: str
    network: nn.Module
    """Images (N, 3, R, R) → logits (N, classes)."""
    preprocessing: Preprocessing
    fingerprint: str
    """Hash of its weights: a training that is resumed needs the same teacher."""

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


def distillation_loss(logits: Tensor, answers: Tensor, temperature: float) -> Tensor:
    """Kullback-Leibler divergence of softened answers, times the square of the temperature
    (Hinton et al. 2015, sec. 2), so that its gradients do not shrink with the temperature."""
    return temperature**2 * F.kl_div(
        (logits / temperature).log_softmax(1),
        (answers / temperature).log_softmax(1),
        reduction="batchmean",
        log_target=True,
    )
