"""The whole path by the command line: images in a folder, a supernet, a search within a budget, the
pick trained, its file exported, and ONNX Runtime as accurate as torch on the held-out images."""

from __future__ import annotations

import fcntl
import json
import os
import re
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_digits

from gnv2_nas.arch import Preprocessing
from gnv2_nas.checkpoints.checkpoint import read_architecture, read_preprocessing, read_training
from gnv2_nas.data import load_dataset, preprocess
from gnv2_nas.nn import build_model, load_weights
from tests.cli.command import Answer, gnv2_nas, run_installed

SPACE = """\
base: ghostnetv2-1.0
axes:
  resolution: {choices: [32]}
  width: {choices: [0.1, 0.15, 0.2]}
  expansion: {choices: [1, 2]}
  placement: {choices: [none, first]}
"""
OF_A_CLASS = 40
RECIPE = ("--epochs", 4, "--batch-size", 32, "--learning-rate", 0.1)
BUDGET = "0.9MFLOPs"
TOLERANCE = 0.001
"""One image in a thousand."""


def write_images(folder: Path) -> None:
    """Real handwritten digits as grey PNGs, a folder for each digit."""
    digits = load_digits()
    for label in range(10):
        target = folder / str(label)
        target.mkdir(parents=True)
        for number, values in enumerate(digits.images[digits.target == label][:OF_A_CLASS]):
            grey = Image.fromarray((values * 255 / 16).astype(np.uint8))
            grey.resize((40, 36)).save(target / f"{number:03}.png")


class Walked:
    """A working directory in which the whole path was walked."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.said = json.loads((folder / "said.json").read_text())


def walk(folder: Path) -> None:
    """Every command once; what each said is kept."""
    write_images(folder / "images")
    (folder / "narrow.yaml").write_text(SPACE)
    said = {}

    def run(name: str, *arguments: object) -> Answer:
        answer = gnv2_nas(*arguments, cwd=folder)
        assert answer.code == 0, answer.err
        said[name] = answer.out + answer.err
        return answer

    images = ("--data", "images", "--device", "cpu")
    run("supernet", "train", "supernet", *images, "--space", "narrow.yaml", *RECIPE)
    run(
        "search", "search", "--data", "images", "--space", "narrow.yaml",
        "--quality", "supernet:supernet.safetensors", "--objectives", "quality,macs",
        "--budget", BUDGET, "--trials", 4, "--study", "demo",
    )  # fmt: skip
    report = json.loads((folder / "reports" / "demo.json").read_text())
    front = [one for one in report["candidates"] if one["trial"] in report["front"]]
    best = max(front, key=lambda one: one["quality"])
    pick = f"demo:{best['trial']}"
    run(
        "train", "train", pick, *images, "--from-supernet", "supernet.safetensors",
        *RECIPE, "--output", "pick.safetensors",
    )  # fmt: skip
    run("export", "export", "pick.safetensors", "--format", "onnx", "--output", "pick.onnx")
    (folder / "said.json").write_text(json.dumps(said | {"pick": best}))


@pytest.fixture(scope="module")
def walked(tmp_path_factory: pytest.TempPathFactory) -> Walked:
    """Walked once for all workers of a test run."""
    base = tmp_path_factory.getbasetemp()
    base = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    folder = base / "accuracy_path"
    with (base / "accuracy_path.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "said.json").exists():
            folder.mkdir()
            walk(folder)
    return Walked(folder)


def held_out(walked: Walked) -> tuple[torch.Tensor, torch.Tensor]:
    """Prepared images and labels, as the weights say."""
    weights = walked.folder / "pick.safetensors"
    data = load_dataset(str(walked.folder / "images"), 32)
    preprocessing = read_preprocessing(weights)
    assert preprocessing is not None
    images = data.val.images(torch.arange(len(data.val)))
    return preprocess(images, 32, preprocessing), data.val.labels


def test_onnx_runtime_is_as_accurate_as_torch(walked: Walked) -> None:
    images, labels = held_out(walked)
    arch = read_architecture(walked.folder / "pick.safetensors")
    model = load_weights(build_model(arch), walked.folder / "pick.safetensors").eval()
    with torch.inference_mode():
        by_torch = (model(images).argmax(1) == labels).double().mean().item()
    session = onnxruntime.InferenceSession(
        walked.folder / "pick.onnx", providers=["CPUExecutionProvider"]
    )
    answers = [session.run(["logits"], {"input": image[None].numpy()})[0] for image in images]
    by_onnx = (np.concatenate(answers).argmax(1) == labels.numpy()).mean()
    assert abs(by_onnx - by_torch) <= TOLERANCE
    training = read_training(walked.folder / "pick.safetensors")
    assert training is not None
    assert training.held_out_images == len(labels) == 2 * OF_A_CLASS
    # What was written down is what the file does.
    assert abs(training.accuracy - by_onnx) <= TOLERANCE
    assert training.accuracy > 0.3, "ten classes: 0.1 is chance"


def test_a_file_at_8_bits_is_calibrated_on_the_images_that_the_weights_name(
    walked: Walked, tmp_path: Path
) -> None:
    target = tmp_path / "pick.onnx"
    command = ("export", "pick.safetensors", "--precision", "int8", "--output", target)
    answer = gnv2_nas(*command, cwd=walked.folder)
    assert answer.code == 0, answer.err
    assert "calibrated on 256 training images of images" in answer.err
    images, labels = held_out(walked)
    session = onnxruntime.InferenceSession(target, providers=["CPUExecutionProvider"])
    answers = [session.run(["logits"], {"input": image[None].numpy()})[0] for image in images]
    training = read_training(walked.folder / "pick.safetensors")
    assert training is not None
    by_file = (np.concatenate(answers).argmax(1) == labels.numpy()).mean()
    assert by_file == pytest.approx(training.accuracy, abs=0.05)
    # The folder is that of the machine that trained, and leaves it with no file.
    written = session.get_modelmeta().custom_metadata_map["training"]
    assert training.source == "images"
    assert json.loads(written)["source"] == ""


def test_a_file_at_8_bits_is_never_calibrated_on_other_images(
    walked: Walked, tmp_path: Path
) -> None:
    weights = walked.folder / "pick.safetensors"
    command = ("export", weights, "--precision", "int8", "--output", tmp_path / "pick.onnx")
    for more, message in (
        ((), "those that .* was trained on are not here .*: give --data or --calibration-images"),
        (("--data", "digits"), "'digits' does not hold the images that .* was trained on"),
    ):
        answer = gnv2_nas(*command, *more, cwd=tmp_path)
        assert answer.code == 2
        assert re.search(message, answer.err), answer.err
    assert list(tmp_path.iterdir()) == []
    answer = gnv2_nas(*command, "--data", walked.folder / "images", cwd=tmp_path)
    assert answer.code == 0, answer.err


def test_the_pick_keeps_the_budget_and_has_the_classes_of_the_images(walked: Walked) -> None:
    best: dict[str, Any] = walked.said["pick"]
    assert best["macs"] <= 0.9e6
    assert best["violations"] == {}
    assert best["architecture"]["num_classes"] == 10
    assert 10 < best["quality"] <= 100


def test_the_card_says_how_to_use_the_file(walked: Walked) -> None:
    card = (walked.folder / "pick.md").read_text()
    weights = walked.folder / "pick.safetensors"
    preprocessing, training = read_preprocessing(weights), read_training(weights)
    assert preprocessing is not None
    assert training is not None
    assert ", ".join(f"{value:.6g}" for value in preprocessing.mean) in card
    assert f"**{training.accuracy:.1%}** of {2 * OF_A_CLASS} held-out images" in card
    session = onnxruntime.InferenceSession(walked.folder / "pick.onnx")
    written = session.get_modelmeta().custom_metadata_map
    assert Preprocessing.from_json(written["preprocessing"]) == preprocessing


def test_each_step_names_the_next(walked: Walked) -> None:
    said = walked.said
    assert "--quality supernet:supernet.safetensors" in said["supernet"].splitlines()[-1]
    assert "accuracy with the supernet's weights: " in said["train"]
    assert said["train"].splitlines()[-1] == (
        "next: gnv2-nas export pick.safetensors --format onnx"
    )
    assert "next: gnv2-nas train demo:" in said["search"]
    report = (walked.folder / "reports" / "demo.html").read_text()
    assert re.search(r"gnv2-nas train demo:\d+ --data images --from-supernet supernet.saf", report)
    assert "It has not been checked on space narrow" in report


def test_a_supernet_of_another_space_or_other_classes_is_refused(walked: Walked) -> None:
    supernet = "supernet:supernet.safetensors"
    for data, space in (("images", "tiny"), ("two", "narrow.yaml")):
        for name in ("cat", "dog"):
            target = walked.folder / "two" / name
            target.mkdir(parents=True, exist_ok=True)
            for number in range(2):
                Image.new("L", (8, 8), number).save(target / f"{number}.png")
        answer = run_installed(
            "search", "--data", data, "--space", space, "--quality", supernet, cwd=walked.folder
        )
        assert answer.code == 2
        (line,) = answer.err.splitlines()
        assert "'supernet.safetensors' is a supernet of space 'narrow' with 10 classes" in line
        assert "torch" not in answer.imported


def test_a_network_outside_the_supernet_is_refused(walked: Walked) -> None:
    answer = run_installed(
        "train", "ghostnetv2-1.0", "--resolution", 32, "--data", "images",
        "--from-supernet", "supernet.safetensors", cwd=walked.folder,
    )  # fmt: skip
    assert answer.code == 2
    assert "does not contain network" in answer.err
    assert "torch" not in answer.imported
