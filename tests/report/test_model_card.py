"""The card beside an exported network."""

from __future__ import annotations

from pathlib import Path

import pytest

from gnv2_nas.arch import Preprocessing, preset
from gnv2_nas.errors import OutputError
from gnv2_nas.graph.training_record import TrainingRecord
from gnv2_nas.report.model_card import Deployed, card_path, model_card
from gnv2_nas.report.overwriting import check_card

ARCH = preset("ghostnetv2-1.0").replace(resolution=64, num_classes=3)
DEPLOYED = Deployed((Path("out/pets.onnx"),), "fp32", "onnxruntime 1.31.1", 2.1e-7)
PREPROCESSING = Preprocessing((0.5, 0.25, 0.125), (0.2, 0.3, 0.4), ("cat", "dog|wolf", "a\nb"))
TRAINING = TrainingRecord("pets", "0123456789ab", 800, 200, 150, 30, 1)


def card(
    weights: str = "pets.safetensors",
    deployed: Deployed = DEPLOYED,
    preprocessing: Preprocessing | None = None,
    training: TrainingRecord | None = None,
) -> str:
    return model_card(ARCH, deployed, weights, preprocessing, training)


def test_it_says_what_the_network_reads() -> None:
    text = card(preprocessing=PREPROCESSING)
    for words in ("`input`, float32, (1, 3, 64, 64)", "0.5, 0.25, 0.125", "0.2, 0.3, 0.4", "64 px"):
        assert words in text
    assert ARCH.id in text
    assert "| 0 | cat |\n| 1 | dog\\|wolf |\n| 2 | a b |" in text


def test_an_accuracy_has_its_interval() -> None:
    text = card(training=TRAINING)
    assert "**75.0%** of 200 held-out images (95% interval 68.6% to 80.5%)" in text
    assert "800 images of pets" in text


def test_random_weights_promise_nothing() -> None:
    text = card("")
    assert "The weights are random" in text
    assert "%" not in text


def test_weights_that_do_not_say_their_accuracy() -> None:
    assert "Not known: the weights do not say it." in card()


def test_the_order_of_dimensions_is_that_of_the_file() -> None:
    deployed = Deployed((Path("pets.tflite"),), "fp32", "litert 2", 0.0, channels_last=True)
    assert "(1, 64, 64, 3)" in card(deployed=deployed)


@pytest.mark.parametrize(
    ("output", "expected"),
    [("a/best.onnx", "a/best.md"), ("best.param", "best.md"), ("best.v2", "best.v2.md")],
)
def test_it_lies_beside_the_file(output: str, expected: str) -> None:
    assert card_path(Path(output)) == Path(expected)


def test_only_a_card_is_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "best.md"
    check_card(path)
    path.write_text(card())
    check_card(path)
    path.write_text("# Mine\n")
    with pytest.raises(OutputError, match="would overwrite"):
        check_card(path)
