"""Accuracy with a supernet's weights: the contract, recalibration, cost, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

import pytest
import torch

from gnv2_nas.arch import preset
from gnv2_nas.data import preprocess
from gnv2_nas.errors import CheckpointError, InputError
from gnv2_nas.nn import build_model, save_weights
from gnv2_nas.nn.supernet import recalibrate
from gnv2_nas.nn.supernet.supernet import load_supernet, save_supernet
from gnv2_nas.quality import QualityContext, get_estimator
from gnv2_nas.quality.accuracy.supernet import SupernetAccuracy, accuracy_noise
from gnv2_nas.quality.accuracy.trained import TrainedAccuracy
from gnv2_nas.space import load_space
from gnv2_nas.training.task import measure_accuracy
from tests.quality.estimator_contract import EstimatorContract
from tests.quality.small_data import (
    digits,
    small_context,
    small_networks,
    small_space,
    small_supernet,
)

IMAGES = 300
CONTEXT = (1000, IMAGES)
CPU = torch.device("cpu")


@pytest.fixture(scope="session")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("supernet") / "supernet.safetensors"
    small_supernet(path)
    return path


@pytest.fixture(scope="session")
def estimator(file) -> SupernetAccuracy:
    return SupernetAccuracy(file, small_context(*CONTEXT))


@pytest.fixture(scope="session")
def largest():
    return small_space().decode(small_space().largest())


class TestContract(EstimatorContract):
    networks: ClassVar = dict(zip("ab", small_networks(2), strict=True))
    tolerance = 1.5 / IMAGES
    """One image may fall to the other side of a rounding."""

    @pytest.fixture
    def spec(self, file):
        return f"supernet:{file}"

    @staticmethod
    def context():
        return small_context(*CONTEXT)


def plain_accuracy(model, split) -> float:
    return 100 * measure_accuracy(model.eval(), split, 32, digits(*CONTEXT).preprocessing)


def test_it_is_the_accuracy_of_the_network_taken_out(estimator, largest):
    model = estimator.extract(largest)
    assert all(weight.requires_grad for weight in model.parameters())
    expected = plain_accuracy(model, digits(*CONTEXT).val)
    assert estimator.score(largest) == pytest.approx(expected, abs=100 / IMAGES + 1e-9)


def test_without_recalibration_accuracy_collapses(estimator, largest):
    """Fresh batch norms, or the statistics of other images: neither will do."""
    score = estimator.score(largest)
    assert score > 60
    for statistics in (fresh_statistics(largest), foreign_statistics(estimator, largest)):
        model = estimator.supernet.extract(largest, statistics)
        assert plain_accuracy(model, digits(*CONTEXT).val) < 0.7 * score


def fresh_statistics(arch) -> dict[str, torch.Tensor]:
    state = build_model(arch).state_dict()
    return {key: value for key, value in state.items() if "running_" in key}


def foreign_statistics(estimator, arch) -> dict[str, torch.Tensor]:
    """Of the same weights, measured on images that are far too bright."""
    tensors = estimator.supernet.tensors(arch)
    data = digits(*CONTEXT)
    images = preprocess(data.train.images(torch.arange(64)), 32, data.preprocessing)
    return recalibrate(arch, tensors, [images + 4])


def test_few_calibration_images_are_not_enough(estimator, largest):
    """Statistics of two images are noise, those of 512 are not."""
    data = digits(*CONTEXT)
    tensors = estimator.supernet.tensors(largest)
    spread = {}
    for count in (2, 256):
        batches = [
            preprocess(data.train.images(start + torch.arange(count)), 32, data.preprocessing)
            for start in (0, 256, 512)
        ]
        means = [
            torch.cat([s[key] for key in sorted(s) if key.endswith("mean")])
            for s in (recalibrate(largest, tensors, [batch]) for batch in batches)
        ]
        spread[count] = torch.stack(means).std(0).mean().item()
    assert spread[256] < 0.3 * spread[2]


def test_noise_is_that_of_the_held_out_images(estimator):
    assert estimator.info.noise == accuracy_noise(estimator.record.largest_accuracy, IMAGES)
    assert accuracy_noise(0.5, 400) == pytest.approx(100 * 1.96 * (0.5 / 404) ** 0.5, rel=1e-3)
    assert accuracy_noise(0.9, 100) > 2 * accuracy_noise(0.9, 1000)
    assert accuracy_noise(1.0, 100) > 0


def test_the_label_names_the_images(estimator):
    assert estimator.info.note.endswith(f"{IMAGES} images of digits")


def test_other_images_than_it_was_trained_on_are_told(file):
    data = replace(digits(*CONTEXT), content_hash="0" * 12)
    note = SupernetAccuracy(file, QualityContext(small_space(), data)).info.note
    assert "some of which it may have been trained on" in note


def test_networks_outside_are_not_compared(estimator):
    assert estimator.info.compares(small_networks(1)[0])
    other = preset("ghostnetv2-1.0").replace(resolution=32, num_classes=10)
    assert not estimator.info.compares(other)
    with pytest.raises(InputError, match="at most"):
        estimator.score(other)


def test_a_supernet_of_another_space_is_refused(file):
    context = QualityContext(load_space("tiny"), digits(*CONTEXT))
    with pytest.raises(CheckpointError, match=r"of space 'small' .*, not of 'tiny'"):
        get_estimator(f"supernet:{file}", context)


def test_other_classes_are_refused(file):
    data = digits(*CONTEXT)
    fewer = replace(data, classes=data.classes[:7])
    with pytest.raises(CheckpointError, match="for 10 classes, but 'digits' has 7"):
        SupernetAccuracy(file, QualityContext(None, fewer))
    with pytest.raises(CheckpointError, match="for 10 classes, but space 'small' has 7"):
        SupernetAccuracy(file, QualityContext(small_space().with_classes(7), fewer))
    renamed = replace(data, classes=("nought", *data.classes[1:]))
    with pytest.raises(CheckpointError, match="class 0 is '0' for the supernet and 'nought'"):
        SupernetAccuracy(file, QualityContext(small_space(), renamed))


def test_weights_of_a_single_network_are_no_supernet(tmp_path):
    path = tmp_path / "one.safetensors"
    save_weights(build_model(small_networks(1)[0]), path)
    with pytest.raises(CheckpointError, match="a supernet is needed"):
        get_estimator(f"supernet:{path}", small_context(*CONTEXT))


def test_it_needs_images(file):
    with pytest.raises(InputError, match="--data"):
        get_estimator(f"supernet:{file}")


def test_a_training_may_inherit_the_weights(file, largest):
    """A step later they are still good; from scratch a step teaches nothing."""
    context = small_context(64, IMAGES)
    data = replace(context.dataset, content_hash=digits(*CONTEXT).content_hash)
    context = replace(context, dataset=data)
    inherited = TrainedAccuracy(file, context)
    assert "from the weights of supernet.safetensors" in inherited.info.note
    step = inherited.recipe.replace(steps=1, learning_rate=1e-6)
    scores = [TrainedAccuracy(path, context, step).score(largest) for path in (file, None)]
    assert scores[0] > 60
    assert scores[1] < 40
    other = preset("ghostnetv2-1.0").replace(resolution=32, num_classes=10)
    assert not inherited.info.compares(other)


def test_a_saved_supernet_scores_the_same(file, estimator, tmp_path):
    again = tmp_path / "again.safetensors"
    save_supernet(*load_supernet(file), again)
    context = small_context(*CONTEXT)
    arch = small_networks(1)[0]
    assert SupernetAccuracy(again, context).score(arch) == estimator.score(arch)
