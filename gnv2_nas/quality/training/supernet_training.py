"""`train_supernet`: from a search space and images to a supernet. Light to import."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from gnv2_nas.files.writing import check_output
from gnv2_nas.quality.training.history import (
    Observer,
    history_json,
    history_path,
    state_path,
    unobserved,
)
from gnv2_nas.quality.training.recipe import Recipe
from gnv2_nas.quality.training.result import FilesBeside, TrainingResult, nothing_beside
from gnv2_nas.space import SearchSpace

if TYPE_CHECKING:
    import torch

    from gnv2_nas.data import Dataset
    from gnv2_nas.nn.supernet import Supernet


def train_supernet(
    space: SearchSpace,
    dataset: Dataset,
    recipe: Recipe,
    output: Path,
    *,
    seed: int = 0,
    device: torch.device | str | None = None,
    observer: Observer = unobserved,
    save_every: float = 30.0,
    beside: FilesBeside = nothing_beside,
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
    from gnv2_nas.quality.training.conditions import Conditions
    from gnv2_nas.quality.training.distributed import choose_device, joined
    from gnv2_nas.quality.training.randomness import seed_of, seeded
    from gnv2_nas.quality.training.state import StateFile, fingerprint_of
    from gnv2_nas.quality.training.supernet_task import SupernetTask
    from gnv2_nas.quality.training.trainer import Trainer

    space = space.with_classes(len(dataset.classes))
    fingerprint = {
        "space": space.content_hash,
        **fingerprint_of(recipe, dataset.content_hash, seed),
    }
    place = choose_device(device)
    with seeded(seed_of(seed, "weights")):
        supernet = Supernet(space.envelope)
    with joined(place) as world:
        conditions = Conditions.make(recipe, seed, place, world)
        trainer = Trainer(
            SupernetTask(conditions.placed(supernet), space, dataset, conditions),
            dataset,
            conditions,
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
        if world.leads:
            record = SupernetRecord(
                space=space.name,
                space_hash=space.content_hash,
                envelope=space.envelope,
                preprocessing=dataset.preprocessing,
                data=dataset.name,
                data_hash=dataset.content_hash,
                steps=recipe.steps,
                seconds=trainer.seconds,
                largest_accuracy=found.accuracy,
                smallest_accuracy=found.smallest_accuracy,
            )
            curve = {history_path(output): history_json(result.history)}
            save_supernet(supernet, record, output, beside={**curve, **beside(result)})
            trainer.finish()
    return result
