"""What a training came to: on the terminal, as JSON, and on its page."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from gnv2_nas.cli.console import print_json, say
from gnv2_nas.cli.training_request import CheckedRequest
from gnv2_nas.commands import format_command
from gnv2_nas.space import SearchSpace
from gnv2_nas.stats.intervals import wilson_interval
from gnv2_nas.units import format_duration

if TYPE_CHECKING:
    from gnv2_nas.data import Dataset
    from gnv2_nas.training import Recipe, TrainingResult


@dataclass(frozen=True)
class Summary:
    """A finished training."""

    checked: CheckedRequest
    dataset: Dataset
    recipe: Recipe
    result: TrainingResult[Any]

    @property
    def is_supernet(self) -> bool:
        return isinstance(self.checked.subject, SearchSpace)

    @property
    def held_out(self) -> int:
        """Images that accuracies are of."""
        return len(self.dataset.val)

    @property
    def epochs(self) -> float:
        """How often every image was seen."""
        return self.recipe.steps * self.recipe.batch_size / len(self.dataset.train)

    def interval(self) -> tuple[float, float]:
        """95% interval of the accuracy."""
        return wilson_interval(round(self.result.accuracy * self.held_out), self.held_out)

    def headline(self) -> str:
        """ "held-out accuracy 97.2% (95% interval 95.0% to 98.4%) of 450 images, after …"."""
        low, high = self.interval()
        of = " of the largest network" if self.is_supernet else ""
        smallest = self.result.smallest_accuracy
        also = "" if smallest is None else f", {smallest:.1%} of the smallest"
        return (
            f"held-out accuracy{of} {self.result.accuracy:.1%} (95% interval {low:.1%} to "
            f"{high:.1%}){also}, on {self.held_out:,} images, after {self.epochs:.3g} epochs in "
            f"{format_duration(self.result.seconds)}"
        )

    def next_command(self) -> str:
        """What the weights are good for."""
        output, request = str(self.checked.output), self.checked.request
        if not self.is_supernet:
            return format_command("export", output, options=[("--format", "onnx")])
        quality = f"supernet:{output}"
        return format_command(
            "search",
            options=[("--data", request.data), ("--space", request.space), ("--quality", quality)],
        )


def conclude(summary: Summary, *, json: bool) -> None:
    """Tell what came of the training."""
    checked = summary.checked
    if json:
        return print_json(_json(summary))
    say(summary.headline())
    say(f"written: {checked.output} ({checked.output.stat().st_size / 1e6:.1f} MB)")
    say(f"written: {checked.page}, its curve")
    return say(f"next: {summary.next_command()}")


def _json(summary: Summary) -> dict[str, Any]:
    checked, result = summary.checked, summary.result
    subject = checked.subject
    trained = (
        {"space": subject.name}
        if isinstance(subject, SearchSpace)
        else {"architecture": subject.id}
    )
    return {
        "output": str(checked.output),
        "curve": str(checked.page),
        **trained,
        "accuracy": result.accuracy,
        "ci95": summary.interval(),
        "smallest_accuracy": result.smallest_accuracy,
        "held_out_images": summary.held_out,
        "train_images": len(summary.dataset.train),
        "data": summary.dataset.name,
        "data_hash": summary.dataset.content_hash,
        "epochs": summary.epochs,
        "seconds": result.seconds,
        "next": summary.next_command(),
    }


def page_of(summary: Summary) -> str:
    """The page with the curve."""
    from gnv2_nas.report.training_page import Training, curve_page

    headline = summary.headline()
    training = Training(
        title=summary.checked.output.stem,
        data=summary.dataset.name,
        held_out=summary.held_out,
        chance=summary.dataset.report.chance,
        headline=f"{headline[:1].upper()}{headline[1:]}.",
        next_command=summary.next_command(),
        facts=_facts(summary),
        supernet=summary.is_supernet,
    )
    return curve_page(training, summary.result.history)


def _facts(summary: Summary) -> tuple[tuple[str, str], ...]:
    checked, dataset, recipe = summary.checked, summary.dataset, summary.recipe
    subject, request = checked.subject, checked.request
    trained = (
        f"supernet of space {subject.name} (hash {subject.content_hash})"
        if isinstance(subject, SearchSpace)
        else f"{subject.id}, {subject.family}, {subject.resolution} px"
    )
    begun = request.from_supernet or checked.weights
    return (
        ("Trained", trained),
        ("Begun with", "random weights" if begun is None else str(begun)),
        ("Data", f"{dataset.name} (hash {dataset.content_hash})"),
        *(("Images", line) for line in dataset.report.lines()),
        ("Optimizer", f"{recipe.optimizer}, learning rate {recipe.learning_rate:.3g}"),
        ("Batch", f"{recipe.batch_size} images, {recipe.steps:,} steps"),
        ("Seed", str(request.seed)),
        ("Software", ", ".join(f"{name} {version(name)}" for name in ("gnv2-nas", "torch"))),
    )
