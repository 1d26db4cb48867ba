"""`gnv2-nas train` on the built-in digits."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest
import torch

from gnv2_nas.checkpoints.checkpoint import read_architecture, read_preprocessing, read_training
from gnv2_nas.nn import read_checkpoint, save_weights
from tests.cli.command import gnv2_nas
from tests.forks import forks
from tests.measurement.networks import tiny_ghost
from tests.networks import random_model
from tests.training.small import small_network
from tests.waiting import until

ARCH = tiny_ghost()
TRAIN = ("train", "net.json", "--data", "digits", "--batch-size", 64)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A working directory with a network of another number of classes than the digits have."""
    (tmp_path / "net.json").write_text(ARCH.to_json())
    return tmp_path


def test_a_network_is_trained_and_says_so(folder: Path) -> None:
    answer = gnv2_nas(*TRAIN, "--epochs", 0.5, cwd=folder)
    assert (answer.code, answer.out) == (0, "")
    lines = [line for line in answer.err.splitlines() if line.strip()]
    assert lines[0] == "data digits"
    assert "10 classes, 1,346 training images, 451 held out" in lines[1]
    assert any(line.startswith("step 11/11 · epoch 0.5 · loss ") for line in lines)
    assert lines[-4].startswith("held-out accuracy ")
    assert "(95% interval " in lines[-4]
    assert lines[-3].startswith("written: net.safetensors (")
    assert lines[-1] == "next: gnv2-nas export net.safetensors --format onnx"
    weights = folder / "net.safetensors"
    assert read_architecture(weights) == ARCH.replace(num_classes=10)
    preprocessing, training = read_preprocessing(weights), read_training(weights)
    assert preprocessing is not None
    assert preprocessing.classes == tuple("0123456789")
    assert training is not None
    assert (training.data, training.held_out_images) == ("digits", 451)
    assert "Held-out accuracy" in (folder / "net.html").read_text()
    left = {path.name for path in folder.iterdir()}
    assert left == {"net.json", "net.safetensors", "net.safetensors.history.json", "net.html"}


def test_json_for_scripts_and_the_same_again_for_the_same_seed(folder: Path) -> None:
    options = ("--epochs", 0.1, "--resolution", 24, "--json")
    found = []
    for output in ("one.safetensors", "two.safetensors"):
        answer = gnv2_nas(*TRAIN, *options, "--output", output, cwd=folder)
        assert answer.code == 0, answer.err
        found.append(json.loads(answer.out))
    low, high = found[0]["ci95"]
    assert 0 <= low <= found[0]["accuracy"] <= high <= 1
    assert found[0]["architecture"] == ARCH.replace(num_classes=10, resolution=24).id
    assert found[0]["held_out_images"] == 451
    one, two = (read_checkpoint(folder / each["output"]) for each in found)
    assert all(torch.equal(one[key], two[key]) for key in one)


def test_training_begins_with_weights_that_are_there(folder: Path) -> None:
    """Without a step to speak of, the weights stay what they were."""
    save_weights(random_model(ARCH.replace(num_classes=10)), folder / "begun.safetensors")
    answer = gnv2_nas(
        "train", "begun.safetensors", "--data", "digits", "--epochs", 0.05, "--batch-size", 64,
        "--learning-rate", 1e-9, cwd=folder,
    )  # fmt: skip
    assert answer.code == 0, answer.err
    before = read_checkpoint(folder / "begun.safetensors")
    after = read_checkpoint(folder / "begun-trained.safetensors")
    for key, value in before.items():
        if "running" not in key and "num_batches" not in key:
            torch.testing.assert_close(after[key], value, rtol=1e-4, atol=1e-5)


def test_several_networks_get_a_file_each_and_are_not_trained_twice(folder: Path) -> None:
    (folder / "wide.json").write_text(ARCH.replace(head_channels=24).to_json())
    options = ("--data", "digits", "--batch-size", 64, "--epochs", 0.1, "--output", "weights")
    answer = gnv2_nas("train", "net.json", *options[:-1], "alone.safetensors", cwd=folder)
    assert answer.code == 0, answer.err
    (folder / "weights").mkdir()
    for suffix in ("", ".history.json"):
        moved = folder / f"alone.safetensors{suffix}"
        moved.rename(folder / "weights" / f"net.safetensors{suffix}")
    answer = gnv2_nas("train", "net.json", "wide.json", *options, "--json", cwd=folder)
    assert answer.code == 0, answer.err
    assert "weights/net.safetensors is trained already" in answer.err
    (trained,) = json.loads(answer.out)
    assert trained["output"] == "weights/wide.safetensors"
    assert read_training(folder / "weights" / "wide.safetensors") is not None
    # With another seed it is another training, which must not replace the first.
    answer = gnv2_nas("train", "net.json", "wide.json", *options, "--seed", 1, cwd=folder)
    assert answer.code == 2
    assert "'weights/net.safetensors' exists already" in answer.err


@pytest.mark.slow
def test_recipe_v3_learns_from_a_teacher_and_writes_the_same_keys(folder: Path) -> None:
    (folder / "net.json").write_text(small_network().to_json())
    answer = gnv2_nas(*TRAIN, "--epochs", 0.1, "--output", "teacher.safetensors", cwd=folder)
    assert answer.code == 0, answer.err
    taught = (*TRAIN, "--recipe", "v3", "--teacher", "teacher.safetensors")
    answer = gnv2_nas(
        *taught, "--epochs", 4, "--learning-rate", 0.2, "--output", "pupil.safetensors", cwd=folder
    )
    assert answer.code == 0, answer.err
    assert "the teacher (" in answer.err
    assert "is worse than the network that it taught" in answer.err
    pupil, teacher = (
        read_checkpoint(folder / f"{name}.safetensors") for name in ("pupil", "teacher")
    )
    assert pupil.keys() == teacher.keys()
    answer = gnv2_nas(*taught, "--resolution", 24, cwd=folder)
    assert answer.code == 2
    assert "name a teacher of 24 px" in answer.err


def test_ctrl_c_keeps_the_state_and_the_same_command_goes_on(folder: Path) -> None:
    options = [*TRAIN, "--epochs", 0.5]
    training = forks().start(*options, cwd=folder)
    until(lambda: "step " in training.err.read_text())
    os.kill(training.pid, signal.SIGINT)
    assert forks().wait(training) == 130
    err = training.err.read_text()
    assert "interrupted; run the same command again to continue" in err
    assert err.splitlines()[-1] == "error: interrupted"
    assert (folder / "net.safetensors.resume").exists()
    assert not (folder / "net.safetensors").exists()
    answer = gnv2_nas(*options, cwd=folder)
    assert answer.code == 0, answer.err
    assert "resuming after step " in answer.err
    through = gnv2_nas(*options, "--output", "through.safetensors", cwd=folder)
    assert through.code == 0, through.err
    one, two = (
        read_checkpoint(folder / "net.safetensors"),
        read_checkpoint(folder / "through.safetensors"),
    )
    assert all(torch.equal(one[key], two[key]) for key in one)
