"""The card beside an exported network, and what the next export learns from it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from markdown_it import MarkdownIt
from PIL import Image

from gnv2_nas.arch import Preprocessing, preset
from gnv2_nas.checkpoints.metadata import TrainingRecord
from gnv2_nas.data import preprocess
from gnv2_nas.data.decoding import decode
from gnv2_nas.errors import OutputError
from gnv2_nas.files.outputs import CARD, check_outputs
from gnv2_nas.report.export_record import ExportRecord, card_path, check_export
from gnv2_nas.report.model_card import DeployedFiles, render_card

ARCH = preset("ghostnetv2-1.0").replace(resolution=64, num_classes=3)
DEPLOYED = DeployedFiles((Path("out/pets.onnx"),), "fp32", "onnxruntime 1.31.1", 2.1e-7)
PREPROCESSING = Preprocessing((0.5, 0.25, 0.125), (0.2, 0.3, 0.4), ("cat", "dog|wolf", "a\nb"))
TRAINING = TrainingRecord("pets", "0123456789ab", 800, 200, 150, 30, 1)


def card(
    weights: str = "pets.safetensors",
    deployed: DeployedFiles = DEPLOYED,
    preprocessing: Preprocessing | None = None,
    training: TrainingRecord | None = None,
) -> str:
    return render_card(ARCH, deployed, weights, preprocessing, training)


def test_it_says_what_the_network_reads() -> None:
    text = card(preprocessing=PREPROCESSING)
    for words in ("`input`, float32, (1, 3, 64, 64)", "0.5, 0.25, 0.125", "0.2, 0.3, 0.4", "64 px"):
        assert words in text
    assert ARCH.id in text
    assert "| 0 | cat |\n| 1 | dog&#124;wolf |\n| 2 | a b |" in text


def test_an_accuracy_has_its_interval() -> None:
    text = card(training=TRAINING)
    assert "**75.0%** of 200 held-out images (95% interval 68.6% to 80.5%)" in text
    assert "800 images of pets" in text


def test_random_weights_promise_nothing() -> None:
    text = card("")
    assert "The weights are random" in text
    assert "%" not in text


def test_weights_that_do_not_say_their_accuracy() -> None:
    assert "Unknown: the weight file does not record it." in card()


def test_the_order_of_dimensions_is_that_of_the_file() -> None:
    deployed = DeployedFiles((Path("pets.tflite"),), "fp32", "litert 2", 0.0, channels_last=True)
    assert "(1, 64, 64, 3)" in card(deployed=deployed)


@pytest.mark.parametrize(
    ("output", "expected"),
    [("a/best.onnx", "a/best.md"), ("best.param", "best.md"), ("best.v2", "best.v2.md")],
)
def test_it_lies_beside_the_file(output: str, expected: str) -> None:
    assert card_path(Path(output)) == Path(expected)


def test_only_a_card_is_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "best.md"
    check_outputs({path: CARD})
    path.write_text(card())
    check_outputs({path: CARD})
    path.write_text("# Mine\n")
    with pytest.raises(OutputError, match="would overwrite"):
        check_outputs({path: CARD})


NASTY = (
    "<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "[a](javascript:alert(1))",
    "![a](http://evil.example/a.png)", "https://evil.example", "www.evil.example", "a|b", r"a\|b",
    "`code`", "a\nb\r\n# c", "| 7 | x |", "*bold* _it_ ~~no~~", "&lt;b&gt;", "a\x1b[31m\u202eb",
    "\ud800half", "-->", "1. one", "- one", "snake_case", "men's shoes", "naïve 猫", r"a\\",
)  # fmt: skip


def shown(name: str) -> str:
    """How a name is shown: on one line, without what cannot be seen."""
    line = " ".join(name.split())
    return "".join("\ufffd" if each in "\x1b\u202e\ud800" else each for each in line)


def test_names_are_text_and_nothing_else() -> None:
    preprocessing = Preprocessing((0.5,) * 3, (0.5,) * 3, NASTY)
    deployed = DeployedFiles((Path("out/<b>`|x.onnx"),), "fp32", "<i>", 0.0)
    training = TrainingRecord("<b>[pets](x)|`", "0123456789ab", 8, 2, 1, 3, 1)
    text = card("w`|<i>.pth", deployed, preprocessing, training)
    tokens = MarkdownIt("commonmark", {"html": True}).enable("table").parse(text)
    inline = [token for token in tokens if token.type == "inline"]
    children = [child for token in inline for child in token.children or ()]
    assert {child.type for child in children} <= {
        "text", "text_special", "softbreak", "code_inline", "strong_open", "strong_close",
    }  # fmt: skip
    shown_cells = ["".join(child.content for child in token.children or ()) for token in inline]
    start = shown_cells.index("class") + 1
    cells = shown_cells[start : start + 2 * len(NASTY)]
    assert cells[::2] == [str(index) for index in range(len(NASTY))]
    assert cells[1::2] == [shown(name) for name in NASTY]
    assert "https://evil" not in text
    assert "www.evil" not in text


@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("name", ["turned.jpg", "clear.png", "deep.png", "plain.png"])
def test_the_script_prepares_an_image_as_training_did(
    tmp_path: Path, name: str, channels_last: bool
) -> None:
    draw = np.random.default_rng(0)
    values = draw.integers(0, 256, (150, 210, 4), np.uint8)
    exif = Image.Exif()
    exif[0x0112] = 6
    if name == "turned.jpg":
        Image.fromarray(values[..., :3]).resize((420, 300)).save(tmp_path / name, exif=exif)
    elif name == "deep.png":
        Image.fromarray(draw.integers(0, 65536, (90, 70), np.uint16)).save(tmp_path / name)
    else:
        Image.fromarray(values if name == "clear.png" else values[..., :3]).save(tmp_path / name)
    deployed = DeployedFiles((Path("pets.x"),), "fp32", "x", 0.0, channels_last=channels_last)
    (script,) = re.findall(
        r"```python\n(.*?)```", card(preprocessing=PREPROCESSING, deployed=deployed), re.DOTALL
    )
    scope: dict[str, Any] = {}
    exec(script, scope)  # noqa: S102
    pixels = decode(tmp_path / name, 64).pixels
    assert pixels is not None
    expected = preprocess(torch.from_numpy(pixels.copy())[None], 64, PREPROCESSING).numpy()
    if channels_last:
        expected = expected.transpose(0, 2, 3, 1)
    assert np.array_equal(scope["prepare"](tmp_path / name), expected)


def exported(folder: Path, name: str, format: str, *suffixes: str) -> Path:  # noqa: A002
    """Check and write an export as the command does; its card."""
    files = [folder / f"{name}{suffix}" for suffix in suffixes]
    path = check_export(folder / (files[0].name if len(files) == 1 else name), format, files, ())
    contents = {file: f"{format} {file.name}".encode() for file in files}
    for file, content in contents.items():
        file.write_bytes(content)
    record = ExportRecord.of(format, contents)
    path.write_text(card(deployed=DeployedFiles(tuple(files), "fp32", "x", 0.0, exported=record)))
    return path


def test_formats_of_one_name_have_a_card_each(tmp_path: Path) -> None:
    for _ in range(2):
        assert exported(tmp_path, "pick", "onnx", ".onnx").name == "pick.md"
        assert exported(tmp_path, "pick", "tflite", ".tflite").name == "pick.tflite.md"


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (("openvino", ".xml", ".bin"), ("ncnn", ".param", ".bin")),
        (("ncnn", ".param", ".bin"), ("openvino", ".xml", ".bin")),
        (("tflite", ""), ("pte", "")),
    ],
)
def test_two_formats_never_share_a_file(
    tmp_path: Path, first: tuple[str, ...], second: tuple[str, ...]
) -> None:
    exported(tmp_path, "model", *first)
    exported(tmp_path, "model", *first)
    with pytest.raises(OutputError, match=f"is part of the {first[0]} export"):
        exported(tmp_path, "model", *second)


def test_a_file_that_no_card_knows_is_kept(tmp_path: Path) -> None:
    (tmp_path / "notes.tflite").write_text("mine")
    with pytest.raises(OutputError, match=r"notes.tflite', which is something else; move it away"):
        exported(tmp_path, "notes", "tflite", ".tflite")
    exported(tmp_path, "pick", "tflite", ".tflite")
    (tmp_path / "pick.tflite").write_text("changed by hand")
    with pytest.raises(OutputError, match=r"something else"):
        exported(tmp_path, "pick", "tflite", ".tflite")


def test_an_export_of_an_earlier_version_is_overwritten(tmp_path: Path) -> None:
    text = exported(tmp_path, "pick", "tflite", ".tflite").read_text()
    old = "\n".join(line for line in text.split("\n") if not line.startswith("<!-- files"))
    (tmp_path / "pick.md").write_text(old)
    exported(tmp_path, "pick", "tflite", ".tflite")
