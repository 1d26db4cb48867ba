"""`train_network` and `train_supernet`: from images to weights. Light to import."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

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
    from torch import Tensor, nn

    from gnv2_nas.data import Dataset
    from gnv2_nas.nn import Network
    from gnv2_nas.nn.supernet import Supernet
    from gnv2_nas.training.context import TrainingContext
    from gnv2_nas.training.task import TrainingTask
    from gnv2_nas.training.teacher import Teacher

StopWhen = Callable[[TrainingPoint], bool]


def train_network(
    arch: Architecture,
    dataset: Dataset,
    recipe: Recipe,
    output: Path | None,
    *,
    initial: Mapping[str, Tensor] | None = None,
    teacher: Teacher | None = None,
    seed: int = 0,
    device: torch.device | str | None = None,
    observer: Observer = ignore_point,
    stop_when: StopWhen | None = None,
    save_every: float = 30.0,
    beside: FilesBeside = no_files_beside,
) -> TrainingResult[Network]:
    """Train one network on labelled images.

    The network gets as many classes as the data set has. The result has the weights of the last
    step, not the best ones on the held-out images: that choice would bias the accuracy upwards.

    Args:
        output: safetensors file for the weights. The learning curve (`.history.json`) is written
            beside it, and so is the state (`.resume`) until the training is done; the same call
            resumes from the state. None writes nothing.
        initial: state dict to start from instead of random weights.
        teacher: network whose answers count for the share `distillation` of the loss.
        seed: seed of weights, order, augmentation and dropout.
        device: None takes a GPU if there is one.
        observer: called after every step.
        stop_when: called after every evaluation; True ends the training.
        save_every: seconds between two saves of the state.
        beside: makes further files that are written together with the weights.

    Raises:
        OutputError: `output` cannot be written to.
        DataError: the data set has fewer images than a batch.
        CheckpointError: `initial` is of another network, or the state of another training.
        TrainingError: the loss is not finite, or memory ran out; the state is kept.
        StorageError: the disk refused.
        KeyboardInterrupt: Ctrl-C; the state is kept.
    """
    if output is not None:
        check_output(output)
    from gnv2_nas.nn import save_weights
    from gnv2_nas.training.task import (
        NetworkTask,
        add_branches,
        hash_weights,
        make_initial_network,
    )

    arch = arch.replace(num_classes=len(dataset.classes))
    network, note = make_initial_network(arch, recipe.dropout, seed, initial)
    module = add_branches(network, recipe, seed)

    def save(
        path: Path, result: TrainingResult[Network], files: Mapping[Path, bytes | str]
    ) -> None:
        record = TrainingRecord(
            data=dataset.name,
            data_hash=dataset.content_hash,
            train_images=len(dataset.train),
            held_out_images=len(dataset.val),
            correct=round(result.accuracy * len(dataset.val)),
            epochs=result.history[-1].epoch,
            seed=seed,
            source=dataset.source,
        )
        save_weights(result.model, path, dataset.preprocessing, record, beside=files)

    taught_by = "none" if teacher is None else teacher.fingerprint
    started_from = "random" if initial is None else hash_weights(initial)
    subject = {"network": arch.id, "initial weights": started_from, "teacher": taught_by}
    return _run(
        module, lambda context: NetworkTask(module, dataset, context, teacher), dataset, recipe,
        output, subject=subject, save=save, seed=seed, device=device, observer=observer,
        stop_when=stop_when, save_every=save_every, beside=beside, note=note,
    )  # fmt: skip


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

    The networks get as many classes as the data set has. The result has the averaged weights of
    the last step. The file also states the accuracies of the largest and the smallest network,
    each measured after recalibration of its batch-norm statistics.

    Args:
        output: safetensors file for the supernet; see `train_network` for the files beside it.
        seed: seed of weights, order, augmentation, sampled networks and dropout.
        device: None takes a GPU if there is one.
        observer: called after every step.
        save_every: seconds between two saves of the state.
        beside: makes further files that are written together with the weights.

    Raises:
        InputError: the space has networks that a supernet cannot hold; for other errors see
            `train_network`.
    """
    check_output(output)
    from gnv2_nas.nn.supernet import Supernet
    from gnv2_nas.nn.supernet.supernet import SupernetRecord, save_supernet
    from gnv2_nas.training.context import derive_seed, seed_torch
    from gnv2_nas.training.supernet_task import SupernetTask

    space = space.with_classes(len(dataset.classes))
    with seed_torch(derive_seed(seed, "weights")):
        supernet = Supernet(space.supernet_spec)

    def save(
        path: Path, result: TrainingResult[Supernet], files: Mapping[Path, bytes | str]
    ) -> None:
        assert result.smallest_accuracy is not None  # noqa: S101
        record = SupernetRecord(
            space=space.name,
            space_hash=space.content_hash,
            supernet_spec=space.supernet_spec,
            preprocessing=dataset.preprocessing,
            data=dataset.name,
            data_hash=dataset.content_hash,
            steps=recipe.steps,
            seconds=result.seconds,
            largest_accuracy=result.accuracy,
            smallest_accuracy=result.smallest_accuracy,
        )
        save_supernet(result.model, record, path, beside=files)

    return _run(
        supernet, lambda context: SupernetTask(supernet, space, dataset, context), dataset,
        recipe, output, subject={"space": space.content_hash}, save=save, seed=seed,
        device=device, observer=observer, save_every=save_every, beside=beside,
    )  # fmt: skip


def _run(
    module: nn.Module,
    make_task: Callable[[TrainingContext], TrainingTask],
    dataset: Dataset,
    recipe: Recipe,
    output: Path | None,
    *,
    subject: Mapping[str, str],
    save: Callable[[Path, TrainingResult[Any], Mapping[Path, bytes | str]], None],
    seed: int,
    device: torch.device | str | None,
    observer: Observer,
    save_every: float,
    beside: FilesBeside,
    stop_when: StopWhen | None = None,
    note: str = "",
) -> TrainingResult[Any]:
    """Train `module` in place and save what is deployed of it.

    Args:
        make_task: called once `module` is on its device.
        subject: fingerprint of what is trained; see `StateFile`.
        save: writes the weights to a path, together with further files.
        note: first message to the observer.
    """
    from gnv2_nas.training.context import TrainingContext, choose_device, process_group
    from gnv2_nas.training.state import StateFile, make_fingerprint
    from gnv2_nas.training.trainer import Trainer

    place = choose_device(device)
    fingerprint = {**subject, **make_fingerprint(recipe, dataset.content_hash, seed)}
    with process_group(place) as world:
        context = TrainingContext.make(recipe, seed, place, world)
        context.place(module)
        task = make_task(context)
        trainer = Trainer(
            task, dataset, context,
            state_file=StateFile(state_path(output), fingerprint) if output else None,
            observer=observer, stop_when=stop_when, save_every=save_every, note=note,
        )  # fmt: skip
        trainer.run()
        found = trainer.evaluate()
        module.load_state_dict(trainer.average.module.state_dict())
        result = TrainingResult(
            task.deployed(module.cpu()), found.accuracy, tuple(trainer.history), trainer.seconds,
            found.smallest_accuracy,
        )  # fmt: skip
        if output is not None and world.is_leader:
            curve = {history_path(output): encode_history(result.history)}
            save(output, result, {**curve, **beside(result)})
            trainer.remove_state()
    return result
