"""`Supernet`: one set of weights for every network of a specification, and its file."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import cast

import torch
from safetensors import torch as safetensors_torch
from torch import Tensor, nn

from gnv2_nas.arch import Architecture, GhostBlock, SupernetSpec, block_keys
from gnv2_nas.checkpoints.contents import SUPERNET_KEY
from gnv2_nas.checkpoints.metadata import SupernetRecord, read_supernet_record
from gnv2_nas.errors import CheckpointError, InputError, first_line
from gnv2_nas.files.file_sets import write_set
from gnv2_nas.graph import Graph
from gnv2_nas.graph.compatibility import check_tensors, tensor_infos
from gnv2_nas.nn.interpreter import cached_lower, run_graph
from gnv2_nas.nn.layers import Classifier
from gnv2_nas.nn.network import Network
from gnv2_nas.nn.supernet.shared_blocks import SharedGhostBlock
from gnv2_nas.nn.supernet.shared_layers import (
    ALL,
    GhostOutput,
    SharedBiasedConvolution,
    SharedConvolution,
    first_channels,
    ghost_channels,
)


class Supernet(nn.Module):
    """The shared weights, initialised like torch's layers.

    Batch norm has no running statistics, because those of one network are wrong for all others.
    `recalibrate` computes them for one network.
    """

    def __init__(self, supernet_spec: SupernetSpec) -> None:
        super().__init__()
        self.supernet_spec = supernet_spec
        *read, last_groups = supernet_spec.input_groups()
        self.stem = SharedConvolution(3, sum(supernet_spec.stem_groups), 3)
        self.blocks = nn.ModuleList(map(SharedGhostBlock, read, supernet_spec.blocks))
        self.last_groups = last_groups
        self.last = SharedConvolution(sum(last_groups), supernet_spec.conv_channels)
        self.head = SharedBiasedConvolution(
            supernet_spec.conv_channels, supernet_spec.head_channels
        )
        self.classifier = Classifier(supernet_spec.head_channels, supernet_spec.num_classes)

    def tensors(self, arch: Architecture) -> dict[str, Tensor]:
        """The weights of `arch`: its module's state dict without the running statistics.

        Gradients flow into the shared weights.

        Raises:
            InputError: the network is not in the supernet; the message names the field.
        """
        positions = self.supernet_spec.find_positions(arch)
        blocks = cast(tuple[GhostBlock, ...], arch.blocks)
        device = self.stem.weight.device
        *keys, last_key = block_keys(arch)
        # The first block adds its input to its output, so both have the same channel order.
        output = GhostOutput(blocks[0].ghost2.ratio, arch.stem_channels)
        stem = ghost_channels(output, self.supernet_spec.stem_groups, device)
        tensors = self.stem.tensors("conv_stem", "bn1", stem)
        for key, block, position in zip(keys, blocks, positions, strict=True):
            tensors |= cast(SharedGhostBlock, self.blocks[position]).tensors(key, block, output)
            output = GhostOutput(block.ghost2.ratio, block.out_channels)
        source = ghost_channels(output, self.last_groups, device)
        last = first_channels(arch.conv_channels, self.supernet_spec.conv_channels)
        tensors |= self.last.tensors(f"{last_key}.conv", f"{last_key}.bn1", last, source)
        tensors |= self.head.tensors("conv_head", ALL, last)
        tensors["classifier.weight"] = self.classifier.weight
        tensors["classifier.bias"] = self.classifier.bias
        return tensors

    def forward(self, images: Tensor, arch: Architecture, dropout: float = 0.0) -> Tensor:
        """(N, 3, resolution, resolution) → logits (N, num_classes), with batch norm in training
        mode.

        Raises:
            InputError: the network is not in the supernet.
        """
        return run_graph(cached_lower(arch), self.tensors(arch), images, dropout=dropout)

    def extract(self, arch: Architecture, statistics: Mapping[str, Tensor]) -> Network:
        """The plain module of `arch` with a copy of its weights, in evaluation mode.

        Args:
            arch: the network to extract.
            statistics: its running means and variances from `recalibrate`.

        Raises:
            InputError: the network is not in the supernet.
            CheckpointError: the statistics belong to another network.
        """
        values = {**self.tensors(arch), **statistics}
        check_tensors(
            cached_lower(arch), tensor_infos(values), "the supernet with these statistics"
        )
        with torch.device("meta"):
            # On the meta device no initial weights are drawn.
            model = Network(arch)
        state = {key: value.detach().clone() for key, value in values.items()}
        # `values` lacks batch norm's counters of batches, which nothing reads.
        device = self.stem.weight.device
        counters = {
            key: torch.zeros_like(value, device=device)
            for key, value in model.state_dict().items()
            if key not in state
        }
        model.load_state_dict(state | counters, strict=True, assign=True)
        return model.eval()


def recalibrate(
    arch: Architecture, tensors: Mapping[str, Tensor], batches: Iterable[Tensor]
) -> dict[str, Tensor]:
    """Running mean and variance of every batch norm of `arch`.

    They are the plain average over the batches, like torch's with `momentum=None`.

    Args:
        arch: the network.
        tensors: its weights, with the keys of its module's state dict.
        batches: training images (N, 3, resolution, resolution), preprocessed as for evaluation.
            All batches have the same weight. A batch of one image has no variance and is skipped.

    Raises:
        InputError: there is no batch of two or more images.
    """
    graph = cached_lower(arch)
    statistics = _initial_statistics(graph, tensors)
    graph = _truncate(graph)
    count = 0
    with torch.inference_mode():
        for images in batches:
            if len(images) < 2:
                continue
            count += 1
            run_graph(graph, tensors, images, statistics=statistics, momentum=1 / count)
    if not count:
        raise InputError("recalibration needs a batch of at least 2 images, but got none")
    return statistics


def _initial_statistics(graph: Graph, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    statistics: dict[str, Tensor] = {}
    for op in graph.ops:
        for norm in op.norms:
            weight = tensors[f"{norm}.weight"].detach()
            statistics[f"{norm}.running_mean"] = torch.zeros_like(weight)
            statistics[f"{norm}.running_var"] = torch.ones_like(weight)
    return statistics


def _truncate(graph: Graph) -> Graph:
    """`graph` up to its last batch norm."""
    last = max(number for number, op in enumerate(graph.ops) if op.norm)
    return Graph(graph.ops[: last + 1])


__all__ = ["SupernetRecord", "load_supernet", "read_supernet_record", "save_supernet"]

_MAX_LISTED = 4
"""Number of keys of a kind that a message lists."""


def save_supernet(
    supernet: Supernet,
    record: SupernetRecord,
    path: str | os.PathLike[str],
    *,
    beside: Mapping[Path, bytes | str] | None = None,
) -> None:
    """Write the shared weights and their record.

    Args:
        supernet: the supernet.
        record: goes into the metadata.
        path: the file.
        beside: further files of the same folder, replaced together with the weights.

    Raises:
        StorageError: a file cannot be written; older files stay unchanged.
    """
    tensors = {
        key: value.detach().cpu().contiguous() for key, value in supernet.state_dict().items()
    }
    metadata = {"format": "pt", SUPERNET_KEY: record.to_json()}
    write_set({Path(path): safetensors_torch.save(tensors, metadata), **(beside or {})})


def load_supernet(path: str | os.PathLike[str]) -> tuple[Supernet, SupernetRecord]:
    """The supernet in a file, on the CPU.

    Raises:
        CheckpointError: the file is missing, damaged or not a supernet; or its weights do not fit
            its record or are not finite.
    """
    file, source = Path(path), repr(str(path))
    record = read_supernet_record(file)
    supernet = _empty(record.supernet_spec, source)
    try:
        tensors = safetensors_torch.load_file(file)
    except Exception as error:
        reason = first_line(error)
        raise CheckpointError(f"{source} cannot be read: {reason}") from None
    _check(supernet.state_dict(), tensors, source)
    supernet.load_state_dict(tensors, strict=True, assign=True)
    return supernet, record


def _empty(supernet_spec: SupernetSpec, source: str) -> Supernet:
    """A supernet without values, so that no initial weights are drawn."""
    try:
        with torch.device("meta"):
            return Supernet(supernet_spec)
    except Exception as error:
        raise CheckpointError(
            f"{source}: its specification describes no supernet ({type(error).__name__})"
        ) from None


def _check(expected: Mapping[str, Tensor], found: Mapping[str, Tensor], source: str) -> None:
    """Check that keys, shapes and types agree and all values are finite."""
    equal = [key for key in expected if key in found and _same_kind(expected[key], found[key])]
    differences = {
        "missing": [key for key in expected if key not in found],
        "unexpected": [key for key in found if key not in expected],
        "of another shape or type": [
            key for key in expected if key in found and not _same_kind(expected[key], found[key])
        ],
        "not finite": [key for key in equal if not torch.isfinite(found[key]).all()],
    }
    texts = [f"{len(keys)} {kind} ({_join(keys)})" for kind, keys in differences.items() if keys]
    if texts:
        raise CheckpointError(f"{source} does not fit its own record: {'; '.join(texts)}")


def _same_kind(expected: Tensor, found: Tensor) -> bool:
    return expected.shape == found.shape and expected.dtype == found.dtype


def _join(keys: Sequence[str]) -> str:
    return ", ".join(keys[:_MAX_LISTED]) + (" …" if len(keys) > _MAX_LISTED else "")
