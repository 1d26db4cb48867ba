"""A checked training: the images, the training itself, and what is told at its end."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gnv2_nas.arch import Architecture
from gnv2_nas.cli.console import say
from gnv2_nas.cli.measuring import with_progress
from gnv2_nas.cli.networks import size_line
from gnv2_nas.cli.training_progress import TrainingProgress
from gnv2_nas.cli.training_request import CheckedRequest
from gnv2_nas.cli.training_summary import Summary, conclude, page_of
from gnv2_nas.data import load_dataset
from gnv2_nas.space import SearchSpace
from gnv2_nas.training import Recipe, default_recipe, train_network, train_supernet

if TYPE_CHECKING:
    from gnv2_nas.data import Dataset
    from gnv2_nas.training import TrainingResult


def run(checked: CheckedRequest, *, json: bool) -> None:
    """Train, write weights and curve, and say what came of it.

    Raises:
        KeyboardInterrupt: Ctrl-C; the state is kept.
    """
    request = checked.request
    dataset = with_progress(
        f"reading the images of {request.data}",
        # The split is always the same: what one training held out no other may learn from.
        lambda progress: load_dataset(request.data, checked.side, progress=progress),
    )
    for line in (f"data {dataset.name}", *dataset.report.lines(), _subject_line(checked)):
        _tell(line)
    initial = _initial(checked, dataset)
    recipe = _recipe(checked, dataset, inherited=initial is not None)
    _tell(
        f"{recipe.steps:,} steps of {recipe.batch_size} images, "
        f"{recipe.steps * recipe.batch_size / len(dataset.train):.3g} epochs"
    )
    try:
        with TrainingProgress() as progress:
            result = _train(checked, dataset, recipe, initial, progress)
    except KeyboardInterrupt:
        _tell("interrupted; the same command goes on from here")
        raise
    if _leads():
        conclude(Summary(checked, dataset, recipe, result), json=json)


def _leads() -> bool:
    """Of several processes, which `torchrun` numbers, the first one tells and writes."""
    return os.environ.get("RANK", "0") == "0"


def _tell(line: str) -> None:
    if _leads():
        say(line)


def _subject_line(checked: CheckedRequest) -> str:
    subject = checked.subject
    if isinstance(subject, SearchSpace):
        return f"supernet of space {subject.name}, {subject.size:.1e} genotypes"
    return f"network {subject.id}, {subject.resolution} px: {size_line(subject)}"


def _initial(checked: CheckedRequest, dataset: Dataset) -> Mapping[str, Any] | None:
    """A state dict to begin with; None for random weights."""
    if not isinstance(checked.subject, Architecture):
        return None
    if checked.request.from_supernet is not None:
        return _from_supernet(checked.request.from_supernet, checked.subject, dataset)
    if checked.weights is None:
        return None
    from gnv2_nas.nn import read_weights

    if checked.weights_note:
        _tell(f"weights: of {checked.weights.name} {checked.weights_note}")
    return read_weights(
        checked.weights, checked.subject, checked.request.weights_from, any_classes=True
    )


def _from_supernet(path: Path, arch: Architecture, dataset: Dataset) -> Mapping[str, Any]:
    from gnv2_nas.quality import QualityContext
    from gnv2_nas.quality.accuracy.supernet import SupernetAccuracy, describe_leakage

    supernet = SupernetAccuracy(path, QualityContext(dataset=dataset))
    if seen := describe_leakage(supernet.record, dataset):
        _tell(f"warning: the supernet is judged on held-out images, {seen}")
    _tell(f"with the supernet's weights: {supernet.score(arch):.1f}% of the held-out images")
    state: dict[str, Any] = supernet.extract(arch).state_dict()
    return state


def _recipe(checked: CheckedRequest, dataset: Dataset, *, inherited: bool) -> Recipe:
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
    checked: CheckedRequest,
    dataset: Dataset,
    recipe: Recipe,
    initial: Mapping[str, Any] | None,
    progress: TrainingProgress,
) -> TrainingResult[Any]:
    request = checked.request
    device = None if request.device == "auto" else request.device

    def beside(result: TrainingResult[Any]) -> Mapping[Path, bytes | str]:
        return {checked.page: page_of(Summary(checked, dataset, recipe, result))}

    if isinstance(checked.subject, SearchSpace):
        return train_supernet(
            checked.subject, dataset, recipe, checked.output, seed=request.seed, device=device,
            observer=progress.show, beside=beside,
        )  # fmt: skip
    return train_network(
        checked.subject, dataset, recipe, checked.output, initial=initial, seed=request.seed,
        device=device, observer=progress.show, beside=beside,
    )  # fmt: skip
