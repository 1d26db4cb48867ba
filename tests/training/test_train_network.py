"""Training one network: it learns, repeats itself, and writes what can be read back."""

from __future__ import annotations

import json

import pytest
import torch

from gnv2_nas.checkpoints.checkpoint import read_preprocessing
from gnv2_nas.errors import CheckpointError, DataError, InputError, OutputError
from gnv2_nas.nn import build_model, load_weights
from gnv2_nas.training import decode_history, train_network
from gnv2_nas.training.task import find_correct, measure_accuracy
from gnv2_nas.workflows.teachers import read_teacher
from tests.training.small import (
    RESOLUTION,
    digits,
    same,
    short_recipe,
    small_network,
    train,
    weights,
)


def test_it_learns():
    points = []
    result = train(recipe=short_recipe(80, learning_rate=0.2), observer=points.append)
    assert result.accuracy > 0.6
    assert points[-1].loss < points[0].loss - 0.5
    assert [point.step for point in points] == list(range(1, 81))
    assert [point.step for point in result.history] == [40, 80]
    assert result.history[-1].accuracy == result.accuracy
    assert points[20].seconds_left > points[-1].seconds_left == 0


def test_the_same_seed_gives_the_same_weights_and_another_one_others():
    first = weights(train(seed=1).model)
    torch.manual_seed(123)
    assert same(first, weights(train(seed=1).model))
    assert not same(first, weights(train(seed=2).model))


def test_torch_s_random_numbers_are_as_they_were():
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    train()
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.parametrize(
    "changes",
    [{"dropout": 0.0}, {"augmentation": 0.0}, {"label_smoothing": 0.0}, {"clip_norm": 0.01},
     {"weight_decay": 0.1}, {"ema_decay": 0.0}, {"optimizer": "adamw"}, {"precision": "bf16"},
     {"branches": 2}],
    ids=str,
)  # fmt: skip
def test_every_part_of_the_recipe_matters(changes):
    assert not same(weights(train().model), weights(train(recipe=short_recipe(**changes)).model))


def test_what_is_written_is_what_was_judged(tmp_path):
    output = tmp_path / "small.safetensors"
    result = train(output)
    model = load_weights(build_model(small_network()), output).eval()
    assert same(weights(model), weights(result.model))
    found = measure_accuracy(model, digits().val, RESOLUTION, digits().preprocessing)
    assert found == result.accuracy
    assert read_preprocessing(output) == digits().preprocessing


def test_the_curve_lies_beside_the_weights_and_the_state_is_gone(tmp_path):
    result = train(tmp_path / "small.safetensors", save_every=0.0)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["small.safetensors", "small.safetensors.history.json"]
    text = (tmp_path / names[1]).read_text()
    assert tuple(decode_history(text)) == result.history
    assert json.loads(text)[-1]["accuracy"] == result.accuracy


def test_the_classifier_follows_the_data():
    result = train_network(small_network(num_classes=7), digits(), short_recipe(), None)
    assert result.model.architecture == small_network(num_classes=10)


def test_it_goes_on_from_other_weights():
    before = train(recipe=short_recipe(40, learning_rate=0.2))
    result = train(initial=before.model.state_dict(), recipe=short_recipe(1, learning_rate=1e-6))
    assert result.accuracy == pytest.approx(before.accuracy, abs=0.02)
    assert before.accuracy > 0.2


def test_with_branches_it_starts_from_the_same_function():
    """After one tiny step only the statistics have moved, and those as without branches."""
    initial = build_model(small_network()).state_dict()
    recipe = short_recipe(1, learning_rate=1e-9, ema_decay=0.0)
    plain = train(initial=initial, recipe=recipe).model
    folded = train(initial=initial, recipe=recipe.replace(branches=3)).model
    images = digits().val.images(torch.arange(8)).float() / 255
    assert torch.allclose(folded(images), plain(images), rtol=0, atol=1e-5)


def test_a_network_learns_from_its_teacher(tmp_path):
    """It learns the classes from the answers alone: the loss on the labels has no share."""
    file, recipe = tmp_path / "teacher.safetensors", short_recipe(60, learning_rate=0.2)
    train(file, recipe=recipe)
    teacher = read_teacher(file, digits(), RESOLUTION)
    pupil = train(teacher=teacher, seed=5, recipe=recipe)
    assert pupil.accuracy > 0.25
    short = short_recipe(2)
    alone = weights(train(teacher=teacher, recipe=short).model)
    assert same(
        alone, weights(train(teacher=teacher, recipe=short.replace(label_smoothing=0.0)).model)
    )
    for change in ({"distillation": 0.5}, {"temperature": 4.0}):
        assert not same(
            alone, weights(train(teacher=teacher, recipe=short.replace(**change)).model)
        )


def test_weights_for_other_classes_keep_all_but_the_classifier():
    other = build_model(small_network(num_classes=4))
    recipe = short_recipe(1, learning_rate=1e-9, evaluations=1)
    result = train(initial=other.state_dict(), recipe=recipe)
    assert torch.allclose(result.model.conv_stem.weight, other.conv_stem.weight, atol=1e-6)
    (point,) = result.history
    assert "4 classes and the data 10" in point.note


def test_weights_of_another_network_are_refused():
    other = build_model(small_network(head_channels=40))
    with pytest.raises(CheckpointError, match="conv_head"):
        train(initial=other.state_dict())


def test_hopeless_trainings_can_be_stopped():
    result = train(stop_when=lambda point: point.accuracy < 0.5)
    assert [point.step for point in result.history] == [3]


@pytest.mark.parametrize(
    ("options", "error", "rule"),
    [
        ({"recipe": short_recipe(batch_size=5000)}, DataError, "got 5000"),
        ({"device": "abacus"}, InputError, "device 'abacus' cannot be used"),
        ({"recipe": short_recipe(precision="fp16")}, InputError, "fp16 needs a GPU"),
    ],
)
def test_what_cannot_be_trained_is_refused(options, error, rule):
    with pytest.raises(error, match=rule):
        train(**options)


def test_no_work_is_done_for_a_file_that_cannot_be_written(tmp_path):
    with pytest.raises(OutputError, match="is not there"):
        train(tmp_path / "nowhere" / "small.safetensors")


def test_correct_images_are_found_in_order():
    split = digits().val

    def says_three(images):
        return torch.eye(10)[torch.full((len(images),), 3)]

    right = find_correct(says_three, split, RESOLUTION, digits().preprocessing, batch_size=100)
    assert torch.equal(right, split.labels == 3)
    share = measure_accuracy(says_three, split, RESOLUTION, digits().preprocessing)
    assert share == (split.labels == 3).double().mean()
