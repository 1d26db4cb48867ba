"""The model card: Markdown beside an exported network, for the people who run it."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from pathlib import Path

import msgspec

from gnv2_nas.arch import Architecture, Preprocessing
from gnv2_nas.checkpoints.metadata import TrainingRecord
from gnv2_nas.graph import count
from gnv2_nas.report.export_record import ExportRecord
from gnv2_nas.stats.intervals import wilson_interval
from gnv2_nas.units import format_quantity

_PLAIN = re.compile(r"[\w .,;()/%+='-]", re.ASCII)
"""Characters without a meaning in Markdown, except where `_is_special` finds one."""
_SAFE_CODE = re.compile(r"[\w.+-]+( [\w.+-]+)*", re.ASCII)
_INVISIBLE = ("Cc", "Cf", "Cs")
_JOINERS = "\N{ZERO WIDTH NON-JOINER}\N{ZERO WIDTH JOINER}"
"""Invisible characters that several scripts need."""
_UNKNOWN = "\N{REPLACEMENT CHARACTER}"


def escape_text(text: str) -> str:
    """Escape `text` for one line of Markdown or a cell of a table.

    Characters that could start HTML, a link, code, emphasis, a list, a heading or another cell
    become character references, which Markdown always shows as the plain character. White space
    becomes single spaces. Control characters, direction marks and lone surrogates become U+FFFD.
    """
    shown = " ".join(text.split())
    return "".join(_character(shown, index) for index in range(len(shown)))


def format_code(text: str) -> str:
    """`text` as code if that is safe, as for most file names; else escaped text."""
    return f"`{text}`" if _SAFE_CODE.fullmatch(text) else escape_text(text)


def _character(text: str, index: int) -> str:
    character = text[index]
    if unicodedata.category(character) in _INVISIBLE and character not in _JOINERS:
        return _UNKNOWN
    if character.isascii() and (
        not _PLAIN.fullmatch(character) or _is_special(text, index, character)
    ):
        return f"&#{ord(character)};"
    return character


def _is_special(text: str, index: int, character: str) -> bool:
    """Whether a plain character would start a list, emphasis, or an automatic link."""
    if character == "_":
        return not (text[index - 1 : index].isalnum() and text[index + 1 : index + 2].isalnum())
    if index == 0:
        return character in "+-="
    if character == ".":
        return text[:index].isdigit() or text[index - 3 : index].lower() == "www"
    return character == ")" and text[:index].isdigit()


_SCRIPT = '''\
import numpy as np
from PIL import Image  # 10.1 or later

SIDE = {side}
MEAN = np.array({mean}, np.float32) * 255
STD = np.array({std}, np.float32) * 255
TURNS = {{  # EXIF orientation: what brings the image upright
    2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM, 5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270, 7: Image.Transpose.TRANSVERSE, 8: Image.Transpose.ROTATE_90,
}}


def prepare(path):
    """The input for the image in a file: float32, shape {shape}."""
    with Image.open(path) as image:
        scale = 2 * SIDE / min(image.size)
        # JPEG can be decoded at a smaller size, as in training.
        image.draft(None, tuple(max(1, int(length * scale)) for length in image.size))
        image.load()
        turn = TURNS.get(image.getexif().get(0x0112))
        if image.mode == "F":
            raise ValueError("floating-point pixels, whose range is not known")
        if image.mode.startswith("I"):  # 16 bits of grey become 8
            values = np.asarray(image).astype(np.int64).clip(0, 65535)
            image = Image.fromarray(((values + 128) // 257).astype(np.uint8))
        if image.has_transparency_data:
            image = image.convert("RGBA")
            image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
        image = image.convert("RGB")
        shorter = min(image.size)
        left, top = (image.width - shorter) / 2, (image.height - shorter) / 2
        box = (left, top, left + shorter, top + shorter)
        bilinear = Image.Resampling.BILINEAR  # antialiased
        image = image.resize((SIDE, SIDE), bilinear, box=box, reducing_gap=3.0)
        if turn is not None:
            image = image.transpose(turn)
    values = (np.asarray(image).astype(np.float32) - MEAN) / STD
    return np.ascontiguousarray({order})
'''


def render_script(side: int, preprocessing: Preprocessing, *, channels_last: bool) -> str:
    """Python that defines `prepare(path)`.

    Args:
        side: height and width of the input.
        channels_last: whether the input is (1, H, W, 3).
    """
    return _SCRIPT.format(
        side=side,
        mean=list(preprocessing.mean),
        std=list(preprocessing.std),
        shape=f"(1, {side}, {side}, 3)" if channels_last else f"(1, 3, {side}, {side})",
        order="values[None]" if channels_last else "values.transpose(2, 0, 1)[None]",
    )


class DeployedFiles(msgspec.Struct, frozen=True):
    """The exported files and how they were checked."""

    files: tuple[Path, ...]
    precision: str
    runtime: str
    """Name and version of the runtime that the files were checked in."""
    parity: float
    """Largest difference from PyTorch's logits, relative to the largest logit."""
    channels_last: bool = False
    """Whether the input is (1, H, W, 3)."""
    exported: ExportRecord = ExportRecord("", {})
    """What the next export needs to know about the files."""
    form: str = "built-in"
    """Form of the files, and the device that it is for."""


def render_card(
    arch: Architecture,
    deployed: DeployedFiles,
    weights: str,
    preprocessing: Preprocessing | None,
    training: TrainingRecord | None,
) -> str:
    """The card in Markdown.

    Args:
        arch: the network.
        deployed: its files.
        weights: name of the weight file; "" for random weights.
        preprocessing: how an image becomes the input, if the weight file records it.
        training: how the weights were trained, if the weight file records it.
    """
    lines = [
        *deployed.exported.lines(),
        f"# {escape_text(deployed.files[0].stem)}",
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


def _table(arch: Architecture, deployed: DeployedFiles, weights: str) -> Iterator[str]:
    counts = count(arch)
    sizes = (
        f"{format_quantity('macs', counts.macs)} (multiply-adds)",
        f"{format_quantity('params', counts.params)}",
        f"{format_quantity('bytes', counts.memory_bytes)} of weights and feature maps in float32",
    )
    yield "| | |"
    yield "|---|---|"
    yield f"| files | {', '.join(format_code(file.name) for file in deployed.files)} |"
    yield f"| network | `{arch.id}`, {arch.family}, {arch.resolution} px |"
    yield f"| size | {', '.join(sizes)} |"
    yield f"| form of the files | {escape_text(deployed.form)} |"
    yield f"| precision | {deployed.precision} |"
    yield f"| weights | {format_code(weights) if weights else 'random'} |"
    yield f"| checked in | {escape_text(deployed.runtime)} |"
    yield f"| against PyTorch | logits differ by {deployed.parity:.1g} of the largest |"


def _input(
    arch: Architecture, deployed: DeployedFiles, preprocessing: Preprocessing | None
) -> Iterator[str]:
    side = arch.resolution
    shape = f"(1, {side}, {side}, 3)" if deployed.channels_last else f"(1, 3, {side}, {side})"
    yield f"`input`, float32, {shape}; colours in the order red, green, blue."
    yield ""
    if preprocessing is None:
        yield "The weight file does not record the preprocessing. Prepare images as in training."
        return
    for number, step in enumerate(preprocessing.steps(side), 1):
        yield f"{number}. {step}"
    yield ""
    yield "The same in Python, bit for bit as in training and evaluation:"
    yield ""
    yield "```python"
    yield from render_script(side, preprocessing, channels_last=deployed.channels_last).splitlines()
    yield "```"


def _output(arch: Architecture, preprocessing: Preprocessing | None) -> Iterator[str]:
    yield f"`logits`, float32, (1, {arch.num_classes}); softmax turns them into probabilities."
    if preprocessing is None or not preprocessing.classes:
        return
    yield ""
    yield "| index | class |"
    yield "|---|---|"
    for index, name in enumerate(preprocessing.classes):
        yield f"| {index} | {escape_text(name)} |"


def _accuracy(weights: str, training: TrainingRecord | None) -> Iterator[str]:
    if not weights:
        yield "**The weights are random**: the file is only useful for timing. Train the"
        yield "network (`gnv2-nas train`) and export it with `--weights`."
    elif training is None:
        yield "Unknown: the weight file does not record it."
    else:
        low, high = wilson_interval(training.correct, training.held_out_images)
        yield (
            f"**{training.accuracy:.1%}** of {training.held_out_images:,} held-out images "
            f"(95% interval {low:.1%} to {high:.1%}), in PyTorch at float32."
        )
        yield ""
        yield (
            f"Trained on {training.train_images:,} images of {escape_text(training.data)} "
            f"(hash {training.data_hash}) for {training.epochs:g} epochs, seed {training.seed}. "
            "If these images also selected the network, this accuracy is slightly optimistic."
        )
