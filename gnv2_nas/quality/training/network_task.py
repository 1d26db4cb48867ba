"""Training of one network on labels.

The network's graph is executed, not its module: on a CPU that takes half to nine tenths of the time
(`gnv2_nas.nn.interpreter`).
"""

from __future__ import annotations

from collections.abc import Iterator

from torch import Tensor, nn
from torch.nn import functional as F

from gnv2_nas.data import Dataset
from gnv2_nas.nn import Network
from gnv2_nas.nn.interpreter import lowered, run_graph
from gnv2_nas.quality.training.conditions import Conditions
from gnv2_nas.quality.training.evaluation import accuracy
from gnv2_nas.quality.training.task import Evaluation

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
