"""What can teach a network: trained weights, a supernet, an ONNX classifier; and what cannot."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest
import torch
from onnx import helper

from gnv2_nas.arch import Preprocessing
from gnv2_nas.checkpoints.metadata import SupernetRecord
from gnv2_nas.errors import CheckpointError, InputError
from gnv2_nas.formats.onnx.wire import append_metadata
from gnv2_nas.formats.onnx.writer import onnx_bytes
from gnv2_nas.nn import save_weights
from gnv2_nas.nn.supernet import Supernet
from gnv2_nas.nn.supernet.supernet import save_supernet
from gnv2_nas.quality import QualityContext
from gnv2_nas.quality.accuracy.supernet import SupernetAccuracy
from gnv2_nas.training.history import state_path
from gnv2_nas.workflows.teachers import check_teacher, measure_teacher, read_teacher
from gnv2_nas.workflows.training_request import TrainRequest
from tests.networks import random_model
from tests.quality import small_data
from tests.search.spaces import SMALL, space_of
from tests.training.small import (
    RESOLUTION,
    digits,
    same,
    short_recipe,
    small_network,
    train,
    weights,
)

IMAGES = torch.randn(4, 3, RESOLUTION, RESOLUTION)


@pytest.fixture
def saved(tmp_path):
    model = random_model(small_network())
    save_weights(model, tmp_path / "teacher.safetensors", digits().preprocessing)
    return model, tmp_path / "teacher.safetensors"


@pytest.fixture
def classifier(tmp_path):
    model = random_model(small_network())
    path = tmp_path / "teacher.onnx"
    path.write_bytes(onnx_bytes(small_network(), model))
    return model, path


def test_images_are_normalised_as_the_teacher_learnt_them(saved):
    model, file = saved
    own = digits().preprocessing
    teacher = read_teacher(file, digits(), RESOLUTION)
    assert torch.equal(teacher.answer(IMAGES, own), model(IMAGES))
    shifted = Preprocessing(mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0), classes=own.classes)
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (own.mean, own.std))
    assert torch.allclose(teacher.answer(IMAGES * std + mean, shifted), model(IMAGES), atol=1e-4)


@pytest.fixture
def supernet(tmp_path, monkeypatch):
    """The file of a supernet of a space in the working directory."""
    monkeypatch.chdir(tmp_path)
    Path("search_spaces").mkdir()
    space = space_of(Path("search_spaces"), SMALL).with_classes(10)
    record = SupernetRecord(
        space=space.name, space_hash=space.content_hash, supernet_spec=space.supernet_spec,
        preprocessing=small_data.digits().preprocessing, data="digits", data_hash="0123456789ab",
        steps=1, seconds=1.0, largest_accuracy=0.1, smallest_accuracy=0.1,
    )  # fmt: skip
    path = Path("supernet.safetensors")
    save_supernet(Supernet(space.supernet_spec), record, path)
    return space, path


def test_a_supernet_teaches_by_its_largest_network(supernet):
    space, file = supernet
    data = small_data.digits(64, 32)
    teacher = read_teacher(file, data, 32)
    largest = space.decode(space.largest())
    expected = SupernetAccuracy(file, QualityContext(dataset=data)).extract(largest)
    images = torch.randn(4, 3, 32, 32)
    assert torch.equal(teacher.answer(images, data.preprocessing), expected(images))
    assert 0 <= measure_teacher(teacher, data, 32) <= 1


def test_a_supernet_of_other_sizes_classes_or_an_unknown_space_is_refused(supernet):
    _, file = supernet
    classes, spaces = small_data.digits().classes, Path("search_spaces/small.yaml")
    with pytest.raises(InputError, match="images of 32 px and the network of 16 px"):
        check_teacher(file, classes, 16)
    with pytest.raises(InputError, match="10 classes that are not the 2 of the images"):
        check_teacher(file, ("a", "b"), 32)
    spaces.write_text(SMALL.replace("0.1, 0.2, 0.35", "0.1, 0.2"))
    with pytest.raises(InputError, match="train the supernet again"):
        check_teacher(file, classes, 32)
    spaces.unlink()
    with pytest.raises(InputError, match=r"supernet.safetensors': unknown search space 'small'"):
        check_teacher(file, classes, 32)


@pytest.mark.parametrize("softmax", [False, True])
def test_an_onnx_classifier_teaches_whether_it_ends_with_logits_or_probabilities(
    classifier, softmax
):
    model, path = classifier
    if softmax:
        file = onnx.load(path)
        file.graph.node.append(helper.make_node("Softmax", ["logits"], ["odds"], axis=1))
        file.graph.output[0].name = "odds"
        onnx.save(file, path)
    teacher = read_teacher(path, digits(), RESOLUTION)
    found = teacher.answer(IMAGES, digits().preprocessing)
    assert torch.allclose(found.log_softmax(1), model(IMAGES).log_softmax(1), atol=1e-4)
    assert torch.allclose(found, model(IMAGES), atol=1e-4) != softmax


def test_an_onnx_file_that_names_its_classes_and_normalisation_is_taken_at_its_word(classifier):
    model, path = classifier
    own = digits().preprocessing
    shifted = Preprocessing(mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0), classes=own.classes)
    content = path.read_bytes()
    path.write_bytes(append_metadata(content, preprocessing=shifted.to_json()))
    teacher = read_teacher(path, digits(), RESOLUTION)
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (own.mean, own.std))
    assert torch.allclose(teacher.answer(IMAGES, own), model(IMAGES * std + mean), atol=1e-4)
    others = Preprocessing(own.mean, own.std, tuple("abcdefghij"))
    path.write_bytes(append_metadata(content, preprocessing=others.to_json()))
    with pytest.raises(InputError, match="10 classes that are not the 10 of the images"):
        check_teacher(path, own.classes, RESOLUTION)


def test_a_training_with_a_teacher_is_resumed_with_the_same_one_alone(saved, classifier, tmp_path):
    """The same weights, bit by bit; another teacher would make another training."""
    output, recipe = tmp_path / "pupil.safetensors", short_recipe(6, distillation=0.5)
    teacher = read_teacher(saved[1], digits(), RESOLUTION)

    def stop(point):
        if point.step == 4:
            raise ConnectionAbortedError

    options = {"recipe": recipe, "teacher": teacher}
    with pytest.raises(ConnectionAbortedError):
        train(output, save_every=0.0, observer=stop, **options)
    assert state_path(output).exists()
    other = read_teacher(classifier[1], digits(), RESOLUTION)
    with pytest.raises(CheckpointError, match="teacher was"):
        train(output, recipe=recipe, teacher=other)
    resumed, through = train(output, **options), train(**options)
    assert any("resuming after step 3" in point.note for point in resumed.history)
    assert same(weights(resumed.model), weights(through.model))


@pytest.mark.parametrize(
    ("classes", "resolution", "message"),
    [(10, 24, r"24x24 float32|of 16 px and the network of 24 px"),
     (3, RESOLUTION, "3 are needed|10 classes that are not the 3")],
)  # fmt: skip
def test_another_size_and_other_classes_are_refused(
    saved, classifier, classes, resolution, message
):
    names = tuple(digits().classes[:classes])
    for _, path in (saved, classifier):
        with pytest.raises(InputError, match=message):
            check_teacher(path, names, resolution)


def test_files_that_teach_nothing_are_refused_when_the_request_is_checked(
    tmp_path, classifier, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    Path("net.json").write_text(small_network().to_json())
    Path("damaged.onnx").write_bytes(classifier[1].read_bytes()[:900])
    Path("text.safetensors").write_text("weights")
    save_weights(random_model(small_network()), Path("nameless.safetensors"))
    for name, message in {
        "none.onnx": "none.onnx", "damaged.onnx": "damaged.onnx", "text.safetensors": "text",
        "nameless.safetensors": "names no classes",
    }.items():  # fmt: skip
        with pytest.raises(InputError, match=message) as caught:
            TrainRequest("net.json", "digits", teacher=Path(name)).check()
        assert "\n" not in str(caught.value)
