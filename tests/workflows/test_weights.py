"""What an export takes from a checkpoint: the weights, their classes, their preprocessing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from gnv2_nas.arch import Architecture, GhostBlock, Preprocessing
from gnv2_nas.errors import CheckpointError, InputError, OutputError
from gnv2_nas.nn import save_weights
from gnv2_nas.training.history import history_path, state_path
from gnv2_nas.workflows.calibration_images import read_calibration_images
from gnv2_nas.workflows.events import Event, Message
from gnv2_nas.workflows.references import match_classes
from gnv2_nas.workflows.training_request import TrainRequest
from tests.networks import random_model

ARCH = Architecture((GhostBlock(8, 6),), 4, 8, 8, resolution=32, num_classes=1000)
FIVE = ARCH.replace(num_classes=5)
COLOURS = Preprocessing((0.5, 0.4, 0.3), (0.2, 0.25, 0.3), tuple("abcde"))


def texts(events: list[Event]) -> str:
    return " ".join(event.text for event in events if isinstance(event, Message))


def test_the_network_gets_the_classes_of_its_weights(tmp_path: Path) -> None:
    events: list[Event] = []
    torch.save({"state_dict": random_model(FIVE).state_dict()}, tmp_path / "five.pth")
    save_weights(random_model(FIVE), tmp_path / "five.safetensors", COLOURS)
    for name in ("five.pth", "five.safetensors"):
        assert match_classes(ARCH, tmp_path / name, events=events.append) == FIVE
    said = texts(events)
    assert "of five.pth its 'state_dict' is read" in said
    assert "they have 5 classes, so the network gets as many instead of 1000" in said


def test_names_of_another_number_of_classes_are_refused(tmp_path: Path) -> None:
    save_weights(random_model(ARCH), tmp_path / "a.safetensors", COLOURS)
    with pytest.raises(CheckpointError, match="names 5 classes, but its network has 1000"):
        match_classes(ARCH, tmp_path / "a.safetensors")


def test_a_training_says_which_weights_it_begins_with(tmp_path: Path) -> None:
    state, average = random_model(FIVE, seed=1).state_dict(), random_model(FIVE).state_dict()
    torch.save({"model": state, "model_ema": average}, tmp_path / "both.pth")
    (tmp_path / "net.json").write_text(ARCH.to_json())
    request = TrainRequest(
        str(tmp_path / "net.json"), "digits", tmp_path / "out.safetensors",
        weights=tmp_path / "both.pth", weights_from="raw",
    )  # fmt: skip
    note = request.check().weights_note
    assert note == "its 'model' is read, not an average; --weights-from average reads 'model_ema'"


def test_a_choice_without_a_checkpoint() -> None:
    with pytest.raises(InputError, match="--weights-from chooses within a checkpoint"):
        TrainRequest("ghostnetv2-1.0", "digits", weights_from="raw").check()


def test_a_folder_of_images(tmp_path: Path) -> None:
    (tmp_path / "cats").mkdir()
    Image.new("RGB", (40, 30), (255, 0, 51)).save(tmp_path / "cats" / "a.png")
    (tmp_path / "notes.jpg").write_bytes(b"no image")
    found = read_calibration_images(tmp_path, 8, COLOURS)
    assert found.shape == (1, 3, 8, 8)
    assert np.allclose(found[0, :, 4, 4], [2.5, -1.6, -1 / 3], atol=1e-5)
    with pytest.raises(InputError, match="the weights do not say how an image becomes"):
        read_calibration_images(tmp_path, 8, None)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="the folder holds no image"):
        read_calibration_images(tmp_path / "empty", 8, COLOURS)


def test_calibration_tells_what_it_cannot_use(tmp_path: Path) -> None:
    events: list[Event] = []
    for number in range(3):
        values = np.random.default_rng(number).integers(0, 4096, (9, 9), np.uint16)
        Image.fromarray(values).save(tmp_path / f"{number}.png")
    (tmp_path / "3.jpg").write_bytes(b"")
    (tmp_path / "4.heic").touch()
    assert len(read_calibration_images(tmp_path, 8, COLOURS, events.append)) == 3
    said = texts(events)
    assert "(other files: 1 .heic; convert them to .jpg or .png" in said
    assert "1 cannot be used, " in said
    assert "3.jpg': empty file" in said
    assert "3 of 3 images of 16 bits or more have no value above 4,0" in said


def test_a_training_that_was_killed_at_its_very_end_goes_on(tmp_path: Path) -> None:
    output, network = tmp_path / "out.safetensors", tmp_path / "net.json"
    network.write_text(FIVE.to_json())
    output.write_text("weights, but the state was not removed yet")
    asked = TrainRequest(str(network), "digits", output=output)
    with pytest.raises(OutputError, match="exists already"):
        asked.check()
    state_path(output).write_text("the state")
    assert asked.check().output == output
    history_path(output).write_text('{"of": "the user"}')
    with pytest.raises(OutputError, match="the curve of the training would overwrite"):
        asked.check()
