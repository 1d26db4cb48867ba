"""Weights into a model: what is accepted, and that it arrives exactly."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import Tensor, nn

from gnv2_nas.arch import DFC, Architecture, GhostBlock, GhostModule, Preprocessing, preset
from gnv2_nas.checkpoints.checkpoint import (
    check_checkpoint,
    read_architecture,
    read_preprocessing,
    read_training,
)
from gnv2_nas.checkpoints.contents import read_contents
from gnv2_nas.checkpoints.metadata import TrainingRecord
from gnv2_nas.errors import CheckpointError, StorageError
from gnv2_nas.nn import build_model, load_weights, read_weights, save_weights
from tests.networks import difference, random_image, random_model
from tests.strategies import architectures

BLOCK = GhostBlock(8, 6, kernel=5, stride=2, se_channels=4, ghost1=GhostModule(dfc=DFC()))
ARCH = Architecture((BLOCK,), 4, 8, 8, resolution=64, num_classes=3)
StateDict = dict[str, Tensor]


def weights() -> StateDict:
    return random_model(ARCH, seed=7).state_dict()


def assert_loaded(source: Any, tolerance: float = 0.0) -> None:
    """`source` gives a fresh model the outputs of the model the weights are of."""
    image = random_image(ARCH.resolution)
    model = build_model(ARCH)
    assert load_weights(model, source) is model
    with torch.no_grad():
        assert difference(model.eval()(image), random_model(ARCH, seed=7)(image)) <= tolerance
    assert {value.dtype for value in model.parameters()} == {torch.float32}


WRAPPINGS: dict[str, Callable[[StateDict], Any]] = {
    "plain": lambda state: state,
    "state_dict": lambda state: {"state_dict": state, "epoch": 3, "arch": "ghostnetv2"},
    "model": lambda state: {"model": state, "optimizer": {"state": {0: {"step": 1}}}},
    "data parallel": lambda state: {f"module.{key}": value for key, value in state.items()},
    "both": lambda state: {"state_dict": {f"module.{key}": v for key, v in state.items()}},
    "parameters": lambda state: {
        key: nn.Parameter(v) if v.is_floating_point() else v for key, v in state.items()
    },
    "arguments": lambda state: {"state_dict": state, "args": argparse.Namespace(lr=0.1)},
}


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("wrapping", WRAPPINGS)
def test_torch_files(tmp_path: Path, wrapping: str, legacy: bool) -> None:
    path = tmp_path / "weights.pth.tar"
    wrapped = WRAPPINGS[wrapping](weights())
    torch.save(wrapped, path, _use_new_zipfile_serialization=not legacy)
    assert_loaded(path)
    assert_loaded(str(path))
    assert set(read_weights(path, ARCH)) == set(weights())


@pytest.mark.parametrize("wrapping", WRAPPINGS)
def test_state_dicts(wrapping: str) -> None:
    assert_loaded(WRAPPINGS[wrapping](weights()))


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_pickle_protocols(tmp_path: Path, protocol: int) -> None:
    path = tmp_path / "weights.pth"
    torch.save(weights(), path, pickle_protocol=protocol)
    assert check_checkpoint(path, ARCH).tensors.keys() == weights().keys()


@pytest.mark.parametrize("name", ["weights.safetensors", "weights.pth", "weights"])
def test_safetensors_by_content(tmp_path: Path, name: str) -> None:
    save_file(weights(), tmp_path / name)
    assert read_contents(tmp_path / name).format == "safetensors"
    assert_loaded(tmp_path / name)


def test_torch_file_named_safetensors(tmp_path: Path) -> None:
    torch.save(weights(), tmp_path / "weights.safetensors")
    assert_loaded(tmp_path / "weights.safetensors")


@pytest.mark.parametrize(
    ("dtype", "tolerance"),
    [(torch.float64, 1e-6), (torch.float16, 1e-2), (torch.bfloat16, 1e-1)],
)
def test_other_floating_point_types(tmp_path: Path, dtype: torch.dtype, tolerance: float) -> None:
    cast = {k: v.to(dtype) if v.is_floating_point() else v for k, v in weights().items()}
    torch.save(cast, tmp_path / "weights.pth")
    save_file(cast, tmp_path / "weights.safetensors")
    for source in (cast, tmp_path / "weights.pth", tmp_path / "weights.safetensors"):
        assert_loaded(source, tolerance)


def test_counters_may_be_left_out(tmp_path: Path) -> None:
    without = {k: v for k, v in weights().items() if "num_batches_tracked" not in k}
    torch.save(without, tmp_path / "weights.pth")
    assert len(without) < len(weights())
    assert_loaded(tmp_path / "weights.pth")


def test_views_of_a_shared_storage(tmp_path: Path) -> None:
    """A tensor may be a transposed or offset part of a larger one."""
    state = weights()
    state["classifier.weight"] = state["classifier.weight"].t().contiguous().t()
    state["classifier.bias"] = torch.cat([torch.zeros(5), state["classifier.bias"]])[5:]
    torch.save(state, tmp_path / "weights.pth")
    assert_loaded(tmp_path / "weights.pth")


@settings(max_examples=15, deadline=None)
@given(arch=architectures())
def test_round_trip(arch: Architecture, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("weights") / "weights.safetensors"
    saved = random_model(arch, seed=1)
    save_weights(saved, path)
    loaded = load_weights(build_model(arch), path)
    for key, value in saved.state_dict().items():
        assert torch.equal(value, loaded.state_dict()[key])
    assert Architecture.from_json(read_contents(path).architecture) == arch


def test_our_file_knows_its_architecture(tmp_path: Path) -> None:
    """Shapes alone cannot tell nearest from bilinear; the metadata can."""
    path = tmp_path / "weights.safetensors"
    save_weights(random_model(ARCH), path)
    bilinear = GhostModule(dfc=DFC(resize="bilinear"))
    block = GhostBlock(8, 6, kernel=5, stride=2, se_channels=4, ghost1=bilinear)
    other = ARCH.replace(blocks=(block,))
    load_weights(build_model(other), weights())
    with pytest.raises(CheckpointError, match=rf"architecture {ARCH.id}, but {other.id}"):
        load_weights(build_model(other), path)


def test_our_file_knows_its_images_and_its_training(tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    preprocessing = Preprocessing((0.5, 0.4, 0.3), (0.2, 0.25, 0.3), ("cat", "dög", 'a "b"\n'))
    training = TrainingRecord("pets", "0123456789ab", 800, 200, 150, 30, 1)
    save_weights(random_model(ARCH), path)
    assert (read_preprocessing(path), read_training(path)) == (None, None)
    save_weights(random_model(ARCH), path, preprocessing, training)
    assert (read_preprocessing(path), read_training(path)) == (preprocessing, training)
    assert read_architecture(path) == ARCH
    assert_loaded_keys(path)


def assert_loaded_keys(path: Path) -> None:
    saved, loaded = random_model(ARCH).state_dict(), load_weights(build_model(ARCH), path)
    assert all(torch.equal(saved[key], value) for key, value in loaded.state_dict().items())


def test_weights_of_others_say_nothing_of_images(tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    torch.save(weights(), path)
    assert (read_preprocessing(path), read_training(path)) == (None, None)
    with pytest.raises(CheckpointError, match="does not say which network it is of"):
        read_architecture(path)


@pytest.mark.parametrize("key", ["preprocessing", "training"])
@pytest.mark.parametrize("text", ["{", "{}", '{"mean": [0, 0], "data": 3}', "x" * 999])
def test_metadata_that_cannot_be_read_is_one_line(tmp_path: Path, key: str, text: str) -> None:
    path = tmp_path / "weights.safetensors"
    save_file(weights(), path, {key: text})
    with pytest.raises(CheckpointError, match="its metadata holds ") as refusal:
        (read_preprocessing if key == "preprocessing" else read_training)(path)
    assert "\n" not in str(refusal.value)


def test_a_supernet_is_no_network(tmp_path: Path) -> None:
    path = tmp_path / "supernet.safetensors"
    save_file(weights(), path, {"supernet": "{}"})
    with pytest.raises(CheckpointError, match="is a supernet"):
        check_checkpoint(path, ARCH)
    with pytest.raises(CheckpointError, match="is a supernet"):
        read_architecture(path)


def test_our_file_at_another_resolution(tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    save_weights(random_model(ARCH), path)
    for resolution in (16, 63, 128):
        load_weights(build_model(ARCH.replace(resolution=resolution)), path)


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    save_weights(random_model(ARCH), path)
    before = path.read_bytes()
    with pytest.raises(StorageError, match="nothing was changed"):
        save_weights(random_model(ARCH), path / "below-a-file.safetensors")
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


@settings(max_examples=40, deadline=None)
@given(architectures(resolutions=st.just(96)), st.integers(1, 95))
def test_cropped_kernels_compute_the_same(arch: Architecture, resolution: int) -> None:
    """Weights made for large images in a network whose kernels small ones clipped."""
    large = random_model(arch)
    small = load_weights(build_model(arch.replace(resolution=resolution)), large.state_dict())
    image = random_image(resolution)
    with torch.no_grad():
        assert difference(small.eval()(image), large(image)) < 1e-5


@pytest.mark.parametrize(
    "resolution", [32, *(pytest.param(each, marks=pytest.mark.slow) for each in (96, 160))]
)
def test_stock_weights_at_small_resolutions(resolution: int) -> None:
    arch = preset("ghostnetv2-1.0")
    large = random_model(arch)
    small = build_model(arch.replace(resolution=resolution))
    clipped = [
        key
        for key, value in large.state_dict().items()
        if small.state_dict()[key].shape != value.shape
    ]
    assert clipped
    image = random_image(resolution)
    load_weights(small, large.state_dict())
    with torch.no_grad():
        assert difference(small.eval()(image), large(image)) < 1e-5


def test_clipped_kernels_do_not_grow_again() -> None:
    """Taps that were cut off are gone: at 224 pixels they would be read."""
    arch = preset("ghostnetv2-1.0")
    clipped = build_model(arch.replace(resolution=160)).state_dict()
    with pytest.raises(CheckpointError, match=r"8 wrong .*short_conv.* is 960x1x1x3, must be"):
        load_weights(build_model(arch), clipped)


@pytest.mark.parametrize(
    ("resolution", "shape"),
    [
        (64, (8, 1, 1, 7)),  # the map is 16 pixels wide: nothing is clipped
        (8, (8, 1, 1, 4)),  # clipped to one tap, and an even kernel has no centre
        (8, (8, 1, 3)),
        (8, (4, 1, 1, 5)),
    ],
)
def test_other_kernels_are_wrong(resolution: int, shape: tuple[int, ...]) -> None:
    arch = ARCH.replace(resolution=resolution)
    state = build_model(arch).state_dict()
    state["blocks.0.0.ghost1.short_conv.2.weight"] = torch.zeros(shape)
    with pytest.raises(CheckpointError, match=r"1 wrong \(blocks.0.0.ghost1.short_conv.2.weight"):
        load_weights(build_model(arch), state)
