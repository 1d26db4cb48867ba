"""Training of one network on labels."""

from __future__ import annotations

from collections.abc import Iterator

from torch import Tensor, nn
from torch.nn import functional as F

from gnv2_nas.nn import Network
from gnv2_nas.quality.data import Dataset
from gnv2_nas.quality.training.conditions import Conditions
from gnv2_nas.quality.training.evaluation import accuracy
from gnv2_nas.quality.training.task import Evaluation


class NetworkTask:
    """Cross-entropy with label smoothing (Szegedy et al. 2016, sec. 7)."""

    def __init__(self, network: Network, dataset: Dataset, conditions: Conditions) -> None:
        self.module = network
        self._dataset = dataset
        self._conditions = conditions

    def resolution(self, step: int) -> int:  # noqa: ARG002
        return self.module.architecture.resolution

    def losses(self, images: Tensor, labels: Tensor, step: int) -> Iterator[Tensor]:  # noqa: ARG002
        with self._conditions.precision.autocast():
            logits = self.module(images)
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
