"""The model card: what whoever runs an exported network must know, as Markdown beside its files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec

from gnv2_nas.arch import Architecture, Preprocessing
from gnv2_nas.checkpoints.metadata import TrainingRecord
from gnv2_nas.graph import count
from gnv2_nas.report.exported import Exported
from gnv2_nas.report.markdown import as_code, as_text
from gnv2_nas.report.preparing import prepare_script
from gnv2_nas.stats.intervals import wilson_interval
from gnv2_nas.units import format_quantity


class Deployed(msgspec.Struct, frozen=True):
    """The files that were written, and how they were checked."""

    files: tuple[Path, ...]
    precision: str
    runtime: str
    """Name and version of the runtime that ran them."""
    parity: float
    """Largest difference of its logits from torch's, relative to the largest logit."""
    channels_last: bool = False
    """Whether the input is (1, H, W, 3)."""
    exported: Exported = Exported("", {})
    """What the next export must know of the files."""


def model_card(
    arch: Architecture,
    deployed: Deployed,
    weights: str,
    preprocessing: Preprocessing | None,
    training: TrainingRecord | None,
) -> str:
    """The card in Markdown.

    Args:
        arch: the network.
        deployed: its files.
        weights: name of the file the weights are from; "" where they are random.
        preprocessing: how an image becomes its input, where the weights say it.
        training: how the weights came about, where they say it.
    """
    lines = [
        *deployed.exported.lines(),
        f"# {as_text(deployed.files[0].stem)}",
        "",
        *_table(arch, deployed, weights),
        "",
        "## Input",
        "",
        *_input(arch, deployed, preprocessing),
        "",
        "## Output",
        "",
        *_output(arch, preprocessing),
        "",
        "## Accuracy",
        "",
        *_accuracy(weights, training),
    ]
    return "\n".join(lines) + "\n"


def _table(arch: Architecture, deployed: Deployed, weights: str) -> Iterator[str]:
    counts = count(arch)
    sizes = (
        f"{format_quantity('macs', counts.macs)} (multiply-adds)",
        f"{format_quantity('params', counts.params)}",
        f"{format_quantity('memory', counts.memory_bytes)} of weights and feature maps in float32",
    )
    yield "| | |"
    yield "|---|---|"
    yield f"| files | {', '.join(as_code(file.name) for file in deployed.files)} |"
    yield f"| network | `{arch.id}`, {arch.family}, {arch.resolution} px |"
    yield f"| size | {', '.join(sizes)} |"
    yield f"| precision | {deployed.precision} |"
    yield f"| weights | {as_code(weights) if weights else 'random'} |"
    yield f"| checked in | {as_text(deployed.runtime)} |"
    yield f"| against torch | logits differ by {deployed.parity:.1g} of the largest |"


def _input(
    arch: Architecture, deployed: Deployed, preprocessing: Preprocessing | None
) -> Iterator[str]:
    side = arch.resolution
    shape = f"(1, {side}, {side}, 3)" if deployed.channels_last else f"(1, 3, {side}, {side})"
    yield f"`input`, float32, {shape}; colours in the order red, green, blue."
    yield ""
    if preprocessing is None:
        yield "The weights do not say how an image becomes the input: prepare it as in training."
        return
    for number, step in enumerate(preprocessing.steps(side), 1):
        yield f"{number}. {step}"
    yield ""
    yield "The same in Python, to the last bit what the network was trained and judged with:"
    yield ""
    yield "```python"
    yield from prepare_script(
        side, preprocessing, channels_last=deployed.channels_last
    ).splitlines()
    yield "```"


def _output(arch: Architecture, preprocessing: Preprocessing | None) -> Iterator[str]:
    yield f"`logits`, float32, (1, {arch.num_classes}); softmax makes probabilities of them."
    if preprocessing is None or not preprocessing.classes:
        return
    yield ""
    yield "| index | class |"
    yield "|---|---|"
    for index, name in enumerate(preprocessing.classes):
        yield f"| {index} | {as_text(name)} |"


def _accuracy(weights: str, training: TrainingRecord | None) -> Iterator[str]:
    if not weights:
        yield "**The weights are random**, made for timing: this file classifies nothing. Train the"
        yield "network (`gnv2-nas train`) and export it with `--weights`."
    elif training is None:
        yield "Not known: the weights do not say it."
    else:
        low, high = wilson_interval(training.correct, training.held_out_images)
        yield (
            f"**{training.accuracy:.1%}** of {training.held_out_images:,} held-out images "
            f"(95% interval {low:.1%} to {high:.1%}), in torch at float32."
        )
        yield ""
        yield (
            f"Trained on {training.train_images:,} images of {as_text(training.data)} "
            f"(hash {training.data_hash}) for {training.epochs:g} epochs, seed {training.seed}. "
            "Where the same held-out images also chose the network, it is a little lucky on them."
        )
