"""Training a network, or the supernet of a space, on labelled images."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from gnv2_nas.arch import Architecture
from gnv2_nas.data import Dataset, load_dataset
from gnv2_nas.space import SearchSpace
from gnv2_nas.training import (
    Recipe,
    TrainingPoint,
    TrainingResult,
    default_recipe,
    train_network,
    train_supernet,
)
from gnv2_nas.workflows.events import Events, Message, TrainingProgress, ignore, report_task
from gnv2_nas.workflows.references import describe_size
from gnv2_nas.workflows.training_request import CheckedTraining
from gnv2_nas.workflows.training_summary import TrainingSummary, make_page
from gnv2_nas.workflows.weights import extract_from_supernet, read_initial_weights


def run_training(checked: CheckedTraining, events: Events = ignore) -> TrainingSummary:
    """Train, and write the weights and the curve.

    In a run of several processes (torchrun) only the first one reports and writes.

    Raises:
        DataError: the images cannot be used.
        TrainingError: the loss is not finite, or memory ran out; the state is kept.
        KeyboardInterrupt: Ctrl-C; the state is kept, and the same request continues from it.
    """
    events = events if is_leader() else ignore
    request = checked.request
    with report_task(events, f"reading the images of {request.data}") as report:
        # The split is always the same: no training may learn from what another held out.
        dataset = load_dataset(request.data, checked.resolution, progress=report)
    for line in (f"data {dataset.name}", *dataset.report.lines(), _describe_subject(checked)):
        events(Message(line))
    initial = _initial_weights(checked, dataset, events)
    recipe = _choose_recipe(checked, dataset, inherited=initial is not None)
    epochs = recipe.steps * recipe.batch_size / len(dataset.train)
    events(Message(f"{recipe.steps:,} steps of {recipe.batch_size} images, {epochs:.3g} epochs"))
    try:
        result = _train(checked, dataset, recipe, initial, _make_observer(events))
    except KeyboardInterrupt:
        events(Message("interrupted; run the same command again to continue"))
        raise
    return TrainingSummary(checked, dataset, recipe, result)


def is_leader() -> bool:
    """Whether this is the first of the processes that torchrun started, or the only process."""
    return os.environ.get("RANK", "0") == "0"


def _make_observer(events: Events) -> Callable[[TrainingPoint], None]:
    """Return an observer that reports every point with the latest accuracies."""
    accuracies: tuple[float, ...] = ()

    def observe(point: TrainingPoint) -> None:
        nonlocal accuracies
        if point.accuracy is not None:
            found = (point.accuracy, point.smallest_accuracy)
            accuracies = tuple(each for each in found if each is not None)
        if point.note:
            events(Message(f"step {point.step}: {point.note}"))
        events(TrainingProgress(point, accuracies))

    return observe


def _describe_subject(checked: CheckedTraining) -> str:
    subject = checked.subject
    if isinstance(subject, SearchSpace):
        return f"supernet of space {subject.name}, {subject.size:.1e} genotypes"
    return f"network {subject.id}, {subject.resolution} px: {describe_size(subject)}"


def _initial_weights(
    checked: CheckedTraining, dataset: Dataset, events: Events
) -> Mapping[str, Any] | None:
    """Return the state dict to start from; None for random weights."""
    request, arch = checked.request, checked.subject
    if not isinstance(arch, Architecture):
        return None
    if request.from_supernet is not None:
        return extract_from_supernet(request.from_supernet, arch, dataset, events)
    if checked.weights is None:
        return None
    if checked.weights_note:
        events(Message(f"weights: of {checked.weights.name} {checked.weights_note}"))
    return read_initial_weights(checked.weights, arch, request.weights_from)


def _choose_recipe(checked: CheckedTraining, dataset: Dataset, *, inherited: bool) -> Recipe:
    request = checked.request
    recipe = default_recipe(
        dataset,
        supernet=isinstance(checked.subject, SearchSpace),
        epochs=request.epochs,
        batch_size=request.batch_size,
        inherited=inherited,
    )
    if request.learning_rate is None:
        return recipe
    return recipe.replace(learning_rate=request.learning_rate)


def _train(
    checked: CheckedTraining,
    dataset: Dataset,
    recipe: Recipe,
    initial: Mapping[str, Any] | None,
    observer: Callable[[TrainingPoint], None],
) -> TrainingResult[Any]:
    seed = checked.request.seed
    device = None if checked.request.device == "auto" else checked.request.device

    def beside(result: TrainingResult[Any]) -> Mapping[Path, bytes | str]:
        return {checked.page: make_page(TrainingSummary(checked, dataset, recipe, result))}

    if isinstance(checked.subject, SearchSpace):
        return train_supernet(
            checked.subject, dataset, recipe, checked.output, seed=seed, device=device,
            observer=observer, beside=beside,
        )  # fmt: skip
    return train_network(
        checked.subject, dataset, recipe, checked.output, initial=initial, seed=seed,
        device=device, observer=observer, beside=beside,
    )  # fmt: skip
