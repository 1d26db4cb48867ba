"""Training of one network on labels, and the weights that it starts from."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gnv2_nas.arch import Architecture
from gnv2_nas.data import Dataset
from gnv2_nas.nn import Network, load_weights, read_weights
from gnv2_nas.nn.interpreter import cached_lower, run_graph
from gnv2_nas.training.context import TrainingContext, derive_seed, seed_torch
from gnv2_nas.training.task import Evaluation, measure_accuracy

BATCH_NORM_MOMENTUM = 0.1
"""Weight of a batch in the running statistics: torch's default, as in the papers."""


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
        data, resolution = self._dataset, self.module.architecture.resolution
        device = self._context.device
        return Evaluation(
            measure_accuracy(module, data.val, resolution, data.preprocessing, device=device)
        )


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
