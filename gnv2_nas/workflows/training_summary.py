"""The outcome of a training: in words, as JSON, and as a page with its curve."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from gnv2_nas.commands import format_command
from gnv2_nas.data import Dataset
from gnv2_nas.report.training_page import TrainingReport, render_training_page
from gnv2_nas.space import SearchSpace
from gnv2_nas.stats.intervals import wilson_interval
from gnv2_nas.training import Recipe, TrainingResult
from gnv2_nas.units import format_duration
from gnv2_nas.workflows.training_request import CheckedTraining


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
        ("Optimizer", f"{recipe.optimizer}, learning rate {recipe.learning_rate:.3g}"),
        ("Batch", f"{recipe.batch_size} images, {recipe.steps:,} steps"),
        ("Seed", str(checked.request.seed)),
        ("Software", ", ".join(f"{name} {version(name)}" for name in ("gnv2-nas", "torch"))),
    )
