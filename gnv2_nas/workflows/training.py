"""Training a network, or the supernet of a space, on labelled images."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from gnv2_nas.arch import Architecture
from gnv2_nas.commands import format_command
from gnv2_nas.data import Dataset, load_dataset
from gnv2_nas.report.training_page import TrainingReport, render_training_page
from gnv2_nas.space import SearchSpace
from gnv2_nas.stats.intervals import wilson_interval
from gnv2_nas.training import (
    Recipe,
    TrainingPoint,
    TrainingResult,
    default_recipe,
    train_network,
    train_supernet,
)
from gnv2_nas.training.recipe import RecipeName
from gnv2_nas.units import format_duration
from gnv2_nas.workflows.events import Events, Message, TrainingProgress, ignore, report_task
from gnv2_nas.workflows.references import describe_size, extract_from_supernet, read_initial_weights
from gnv2_nas.workflows.teachers import measure_teacher, read_teacher
from gnv2_nas.workflows.training_request import CheckedTraining

if TYPE_CHECKING:
    from gnv2_nas.training.teacher import Teacher


@dataclass(frozen=True)
class TrainingSummary:
    """A finished training."""

    checked: CheckedTraining
    dataset: Dataset
    recipe: Recipe
    result: TrainingResult[Any]

    @property
    def output(self) -> Path:
        """The weight file."""
        return self.checked.output

    @property
    def page(self) -> Path:
        """The page with the training curve."""
        return self.checked.page

    @property
    def is_supernet(self) -> bool:
        return isinstance(self.checked.subject, SearchSpace)

    @property
    def accuracy(self) -> float:
        """Top-1 on the held-out images, 0 to 1; for a supernet, of its largest network."""
        return self.result.accuracy

    @property
    def held_out(self) -> int:
        """Number of held-out images."""
        return len(self.dataset.val)

    @property
    def epochs(self) -> float:
        return self.recipe.steps * self.recipe.batch_size / len(self.dataset.train)

    @property
    def ci95(self) -> tuple[float, float]:
        """95% interval of the accuracy."""
        return wilson_interval(round(self.accuracy * self.held_out), self.held_out)

    def headline(self) -> str:
        """Return "held-out accuracy 97.2% (95% interval 95.0% to 98.4%), on 450 images, …"."""
        low, high = self.ci95
        of = " of the largest network" if self.is_supernet else ""
        smallest = self.result.smallest_accuracy
        also = "" if smallest is None else f", {smallest:.1%} of the smallest"
        return (
            f"held-out accuracy{of} {self.accuracy:.1%} (95% interval {low:.1%} to {high:.1%})"
            f"{also}, on {self.held_out:,} images, after {self.epochs:.3g} epochs in "
            f"{format_duration(self.result.seconds)}"
        )

    def next_command(self) -> str:
        """Return the command that uses the weights."""
        if not self.is_supernet:
            return format_command("export", str(self.output), options=[("--format", "onnx")])
        request, quality = self.checked.request, f"supernet:{self.output}"
        return format_command(
            "search",
            options=[("--data", request.data), ("--space", request.space), ("--quality", quality)],
        )

    def to_json(self) -> dict[str, Any]:
        """Return the result for scripts."""
        subject = self.checked.subject
        named = (
            {"space": subject.name}
            if isinstance(subject, SearchSpace)
            else {"architecture": subject.id}
        )
        return {
            "output": str(self.output),
            "curve": str(self.page),
            **named,
            "accuracy": self.accuracy,
            "ci95": self.ci95,
            "smallest_accuracy": self.result.smallest_accuracy,
            "held_out_images": self.held_out,
            "train_images": len(self.dataset.train),
            "data": self.dataset.name,
            "data_hash": self.dataset.content_hash,
            "epochs": self.epochs,
            "seconds": self.result.seconds,
            "next": self.next_command(),
        }


def make_page(summary: TrainingSummary) -> str:
    """Return the HTML page with the training curve."""
    headline = summary.headline()
    training = TrainingReport(
        title=summary.output.stem,
        data=summary.dataset.name,
        held_out=summary.held_out,
        chance=summary.dataset.report.chance,
        headline=f"{headline[:1].upper()}{headline[1:]}.",
        next_command=summary.next_command(),
        facts=_list_facts(summary),
        supernet=summary.is_supernet,
    )
    return render_training_page(training, summary.result.history)


def _list_facts(summary: TrainingSummary) -> tuple[tuple[str, str], ...]:
    checked, dataset, recipe = summary.checked, summary.dataset, summary.recipe
    subject, initial = checked.subject, checked.request.from_supernet or checked.weights
    trained = (
        f"supernet of space {subject.name} (hash {subject.content_hash})"
        if isinstance(subject, SearchSpace)
        else f"{subject.id}, {subject.family}, {subject.resolution} px"
    )
    return (
        ("Trained", trained),
        ("Initial weights", "random" if initial is None else str(initial)),
        ("Data", f"{dataset.name} (hash {dataset.content_hash})"),
        *(("Images", line) for line in dataset.report.lines()),
        ("Recipe", checked.request.recipe),
        *((("Teacher", str(checked.request.teacher)),) if checked.request.teacher else ()),
        ("Optimizer", f"{recipe.optimizer}, learning rate {recipe.learning_rate:.3g}"),
        ("Batch", f"{recipe.batch_size} images, {recipe.steps:,} steps"),
        ("Seed", str(checked.request.seed)),
        ("Software", ", ".join(f"{name} {version(name)}" for name in ("gnv2-nas", "torch"))),
    )


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
    teacher, teacher_accuracy = _read_teacher(checked, dataset, events)
    try:
        result = _train(checked, dataset, recipe, initial, teacher, _make_observer(events))
    except KeyboardInterrupt:
        events(Message("interrupted; run the same command again to continue"))
        raise
    if result.accuracy > teacher_accuracy:
        events(
            Message(
                f"warning: the teacher ({teacher_accuracy:.1%} of held-out images) is worse than "
                f"the network that it taught ({result.accuracy:.1%}); compare with a training "
                "without it"
            )
        )
    return TrainingSummary(checked, dataset, recipe, result)


def _read_teacher(
    checked: CheckedTraining, dataset: Dataset, events: Events
) -> tuple[Teacher | None, float]:
    """Return the teacher and its accuracy on the held-out images; None and 1 without one."""
    if checked.request.teacher is None:
        return None, 1.0
    teacher = read_teacher(checked.request.teacher, dataset, checked.resolution)
    accuracy = measure_teacher(teacher, dataset, checked.resolution)
    events(Message(f"teacher {teacher.name}: {accuracy:.1%} of held-out images"))
    return teacher, accuracy


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
        name=cast(RecipeName, request.recipe),
        taught=request.teacher is not None,
    )
    if request.learning_rate is None:
        return recipe
    return recipe.replace(learning_rate=request.learning_rate)


def _train(
    checked: CheckedTraining,
    dataset: Dataset,
    recipe: Recipe,
    initial: Mapping[str, Any] | None,
    teacher: Teacher | None,
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
        checked.subject, dataset, recipe, checked.output, initial=initial, teacher=teacher,
        seed=seed, device=device, observer=observer, beside=beside,
    )  # fmt: skip
