"""`train_network` and `train_supernet`: from images to weights. Light to import."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from gnv2_nas.arch import Architecture
from gnv2_nas.checkpoints.metadata import TrainingRecord
from gnv2_nas.files.writing import check_output
from gnv2_nas.space import SearchSpace
from gnv2_nas.training.history import (
    FilesBeside,
    Observer,
    TrainingPoint,
    TrainingResult,
    encode_history,
    history_path,
    ignore_point,
    no_files_beside,
    state_path,
)
from gnv2_nas.training.recipe import Recipe

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from gnv2_nas.data import Dataset
    from gnv2_nas.nn import Network
    from gnv2_nas.nn.supernet import Supernet


def train_network(
    arch: Architecture,
    dataset: Dataset,
    recipe: Recipe,
    output: Path | None,
    *,
    initial: Mapping[str, Tensor] | None = None,
    seed: int = 0,
    device: torch.device | str | None = None,
    observer: Observer = ignore_point,
    stop_when: Callable[[TrainingPoint], bool] | None = None,
    save_every: float = 30.0,
    beside: FilesBeside = no_files_beside,
) -> TrainingResult[Network]:
    """Train one network on labelled images.

    The number of classes is that of the data, whatever `arch` says. The weights are those at the
    end, not the best ones on the held-out images: choosing by them would flatter the accuracy.

    Args:
        output: where the weights go, as safetensors; beside it the curve (`.history.json`) and,
            until the training is done, its state (`.resume`), from which the same call goes on.
            None writes nothing.
        initial: a state dict to begin with, instead of random weights.
        seed: of weights, order, augmentation and dropout.
        device: None takes a GPU where there is one.
        stop_when: looks at every evaluation; True ends the training there.
        save_every: seconds between two states.
        beside: further files that belong to the weights and are written together with them.

    Raises:
        OutputError: `output` cannot be written to.
        DataError: the data set has fewer images than a batch.
        CheckpointError: `initial` is of another network, or the state of another training.
        TrainingError: the loss is not finite, or memory does not suffice; the state is kept.
        StorageError: the disk refused.
        KeyboardInterrupt: Ctrl-C; the state is kept.
    """
    if output is not None:
        check_output(output)
    from gnv2_nas.nn import save_weights
    from gnv2_nas.training.context import TrainingContext, choose_device, process_group
    from gnv2_nas.training.initial import hash_weights, make_initial_network
    from gnv2_nas.training.state import StateFile, make_fingerprint
    from gnv2_nas.training.task import NetworkTask
    from gnv2_nas.training.trainer import Trainer

    arch = arch.replace(num_classes=len(dataset.classes))
    network, note = make_initial_network(arch, recipe.dropout, seed, initial)
    fingerprint = {
        "network": arch.id,
        "initial weights": hash_weights(initial) if initial is not None else "random",
        **make_fingerprint(recipe, dataset.content_hash, seed),
    }
    place = choose_device(device)
    with process_group(place) as world:
        context = TrainingContext.make(recipe, seed, place, world)
        trainer = Trainer(
            NetworkTask(context.place(network), dataset, context),
            dataset,
            context,
            state_file=StateFile(state_path(output), fingerprint) if output else None,
            observer=observer,
            stop_when=stop_when,
            save_every=save_every,
            note=note,
        )
        trainer.run()
        found = trainer.evaluation()
        network.load_state_dict(trainer.average.module.state_dict())
        network.cpu().eval()
        result = TrainingResult(network, found.accuracy, tuple(trainer.history), trainer.seconds)
        if output is not None and world.is_leader:
            record = _record(dataset, found.accuracy, trainer.epochs, seed)
            curve = {history_path(output): encode_history(result.history)}
            save_weights(
                network, output, dataset.preprocessing, record, beside={**curve, **beside(result)}
            )
            trainer.finish()
    return result


def _record(dataset: Dataset, accuracy: float, epochs: float, seed: int) -> TrainingRecord:
    held_out = len(dataset.val)
    return TrainingRecord(
        data=dataset.name,
        data_hash=dataset.content_hash,
        train_images=len(dataset.train),
        held_out_images=held_out,
        correct=round(accuracy * held_out),
        epochs=epochs,
        seed=seed,
    )


def train_supernet(
    space: SearchSpace,
    dataset: Dataset,
    recipe: Recipe,
    output: Path,
    *,
    seed: int = 0,
    device: torch.device | str | None = None,
    observer: Observer = ignore_point,
    save_every: float = 30.0,
    beside: FilesBeside = no_files_beside,
) -> TrainingResult[Supernet]:
    """Train one set of weights for all networks of a space.

    The number of classes is that of the data, whatever the space says. The weights are the
    average at the end. Their accuracies in the file are those of the largest and of the smallest
    network, each after its batch-norm statistics were measured.

    Args:
        output: where the supernet goes, as safetensors; beside it the curve (`.history.json`)
            and, until the training is done, its state (`.resume`), from which the same call goes
            on.
        seed: of weights, order, augmentation, networks and dropout.
        device: None takes a GPU where there is one.
        save_every: seconds between two states.
        beside: further files that belong to the weights and are written together with them.

    Raises:
        OutputError: `output` cannot be written to.
        InputError: the space holds networks that a supernet cannot.
        DataError: the data set has fewer images than a batch.
        CheckpointError: the state is that of another training.
        TrainingError: the loss is not finite, or memory does not suffice; the state is kept.
        StorageError: the disk refused.
        KeyboardInterrupt: Ctrl-C; the state is kept.
    """
    check_output(output)
    from gnv2_nas.nn.supernet import Supernet
    from gnv2_nas.nn.supernet.supernet_file import SupernetRecord, save_supernet
    from gnv2_nas.training.context import (
        TrainingContext,
        choose_device,
        derive_seed,
        process_group,
        seed_torch,
    )
    from gnv2_nas.training.state import StateFile, make_fingerprint
    from gnv2_nas.training.supernet_task import SupernetTask
    from gnv2_nas.training.trainer import Trainer

    space = space.with_classes(len(dataset.classes))
    fingerprint = {
        "space": space.content_hash,
        **make_fingerprint(recipe, dataset.content_hash, seed),
    }
    place = choose_device(device)
    with seed_torch(derive_seed(seed, "weights")):
        supernet = Supernet(space.supernet_spec)
    with process_group(place) as world:
        context = TrainingContext.make(recipe, seed, place, world)
        trainer = Trainer(
            SupernetTask(context.place(supernet), space, dataset, context),
            dataset,
            context,
            state_file=StateFile(state_path(output), fingerprint),
            observer=observer,
            save_every=save_every,
        )
        trainer.run()
        found = trainer.evaluation()
        assert found.smallest_accuracy is not None  # noqa: S101
        supernet.load_state_dict(trainer.average.module.state_dict())
        supernet.cpu().eval()
        result = TrainingResult(
            supernet,
            found.accuracy,
            tuple(trainer.history),
            trainer.seconds,
            smallest_accuracy=found.smallest_accuracy,
        )
        if world.is_leader:
            record = SupernetRecord(
                space=space.name,
                space_hash=space.content_hash,
                supernet_spec=space.supernet_spec,
                preprocessing=dataset.preprocessing,
                data=dataset.name,
                data_hash=dataset.content_hash,
                steps=recipe.steps,
                seconds=trainer.seconds,
                largest_accuracy=found.accuracy,
                smallest_accuracy=found.smallest_accuracy,
            )
            curve = {history_path(output): encode_history(result.history)}
            save_supernet(supernet, record, output, beside={**curve, **beside(result)})
            trainer.finish()
    return result
