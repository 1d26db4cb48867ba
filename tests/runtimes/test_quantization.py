"""Static quantisation: right to 8 bits, always the same, and clear about wrong images."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
import torch

from gnv2_nas.arch import Architecture, Preprocessing, preset
from gnv2_nas.errors import InputError
from gnv2_nas.formats.onnx.writer import onnx_bytes
from gnv2_nas.graph.passes.form import FileForm
from gnv2_nas.runner.timing import timing_image
from gnv2_nas.runtimes.onnx_runtime import OnnxRuntime
from gnv2_nas.runtimes.quantization import feature_ranges, quantize, random_images, read_images
from tests.measurement.networks import tiny_ghost, tiny_mobile
from tests.networks import difference, random_model

NETWORKS = {
    "ghost": tiny_ghost(),
    "mobile": tiny_mobile(),
    "ghostnetv2-1.0": preset("ghostnetv2-1.0").replace(resolution=64),
    "mobilenetv3-large-1.0": preset("mobilenetv3-large-1.0").replace(resolution=64),
}


def answer(onnx_file: bytes, image: np.ndarray) -> np.ndarray:
    session = OnnxRuntime().load({".onnx": onnx_file}, threads=1)
    assert (session.image == image).all()
    return session.logits()


@pytest.mark.parametrize("arch", NETWORKS.values(), ids=NETWORKS)
def test_computes_what_torch_computes_to_eight_bits(arch: Architecture):
    model = random_model(arch)
    image = timing_image(arch.resolution)
    with torch.inference_mode():
        expected = model(torch.from_numpy(image))
    assert difference(answer(quantize(onnx_bytes(arch, model)), image), expected) < 0.15


def test_is_always_the_same():
    content = onnx_bytes(tiny_ghost())
    assert quantize(content) == quantize(content)


def test_is_a_valid_model_a_quarter_the_size():
    content = onnx_bytes(preset("ghostnetv2-1.0").replace(resolution=64))
    smaller = quantize(content)
    onnx.checker.check_model(onnx.load_from_string(smaller), full_check=True)
    assert len(smaller) < 0.3 * len(content)


def test_every_convolution_reads_rounded_maps_and_weights():
    model = onnx.load_from_string(quantize(onnx_bytes(tiny_ghost())))
    producer = {node.output[0]: node.op_type for node in model.graph.node}
    for node in model.graph.node:
        if node.op_type in ("Conv", "Gemm"):
            assert [producer[name] for name in node.input] == ["DequantizeLinear"] * 3


def test_padding_channels_change_nothing():
    """Their weights are zero and stay zero."""
    arch = NETWORKS["ghostnetv2-1.0"]
    model, image = random_model(arch), timing_image(arch.resolution)
    found, plain = (
        answer(quantize(onnx_bytes(arch, model, form=FileForm(channel_multiple=multiple))), image)
        for multiple in (16, 1)
    )
    assert difference(found, plain) < 0.1


def test_ranges_are_those_of_the_images_given():
    content = onnx_bytes(tiny_ghost())
    images = random_images(3, 32)
    ranges, wider = feature_ranges(content, images), feature_ranges(content, images * 3)
    assert ranges["input"] == (images.min(), images.max())
    assert wider["conv_stem"][1] > 2 * ranges["conv_stem"][1]
    one, other = feature_ranges(content, images[:1]), feature_ranges(content, images[1:])
    for name, (low, high) in ranges.items():
        assert low == min(one[name][0], other[name][0])
        assert high == max(one[name][1], other[name][1])


def test_a_map_that_is_zero_everywhere_is_no_trouble():
    content = quantize(onnx_bytes(tiny_ghost()), np.zeros((1, 3, 32, 32), np.float32))
    assert np.isfinite(answer(content, timing_image(32))).all()


@pytest.mark.parametrize("shape", [(3, 32, 32), (0, 3, 32, 32), (1, 32, 32, 3), (2, 3, 64, 64)])
def test_images_of_another_shape_are_refused(shape: tuple[int, ...]):
    with pytest.raises(InputError, match=r"must be of shape \(N, 3, 32, 32\) with N ≥ 1, not \("):
        quantize(onnx_bytes(tiny_ghost()), np.zeros(shape, np.float32))


def test_calibration_images_are_brought_to_the_resolution(tmp_path):
    path = tmp_path / "images.npy"
    images = random_images(2, 8)
    np.save(path, images)
    assert read_images("", 8) is None
    assert (read_images(str(path), 8) == images).all()
    assert (read_images(str(path), 4) == images[:, :, ::2, ::2]).all()
    larger = read_images(str(path), 16)
    assert (larger == images.repeat(2, axis=2).repeat(2, axis=3)).all()


WRONG = {
    "no such file": (None, "cannot be read: .*No such file"),
    "no array file": (b"hello", "cannot be read"),
    "empty": (b"", "cannot be read"),
    "another type": (np.zeros((2, 3, 8, 8), np.complex64), "must be float32, .*not complex64"),
    "small integers": (np.ones((2, 3, 8, 8), np.int64), "must be float32, .*not int64"),
    "one image": (np.zeros((3, 8, 8), np.float32), r"\(N, 3, H, W\) or .*float32 of \(3, 8, 8\)"),
    "no image": (np.zeros((0, 3, 8, 8), np.float32), r"N, H and W ≥ 1, .*\(0, 3, 8, 8\)"),
    "no width": (np.zeros((2, 3, 8, 0), np.float32), r"N, H and W ≥ 1, .*\(2, 3, 8, 0\)"),
    "four channels": (np.zeros((2, 8, 8, 4), np.float32), r"not float32 of \(2, 8, 8, 4\)"),
    "pixels": (np.zeros((2, 3, 8, 8), np.uint8), "are pixels, 0 to 255, and nothing says"),
    "pixels as numbers": (np.full((2, 8, 8, 3), 200.0, np.float32), "are pixels, 0 to 255"),
    "far out": (np.full((2, 3, 8, 8), 1e4, np.float32), "reach from 1e\\+04 to 1e\\+04"),
    "one infinite": (np.array([1, np.inf] * 96, np.float32).reshape(1, 3, 8, 8), "not finite"),
    "not finite": (np.full((1, 3, 8, 8), np.nan, np.float32), "not finite"),
    "objects": (np.array([object()]), "cannot be read"),
}


@pytest.mark.parametrize(("content", "message"), WRONG.values(), ids=WRONG)
def test_wrong_calibration_files_are_refused_in_one_line(tmp_path, content, message):
    path = tmp_path / "images.npy"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        np.save(path, content, allow_pickle=True)
    with pytest.raises(InputError, match=message) as caught:
        read_images(str(path), 8)
    assert len(str(caught.value).splitlines()) == 1


COLOURS = Preprocessing((0.5, 0.4, 0.3), (0.2, 0.25, 0.3), ("a",))


@pytest.mark.parametrize("scale", [255, 1])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float64])
@pytest.mark.parametrize("last", [False, True])
def test_pixels_are_prepared_as_the_weights_say(tmp_path, scale, dtype, last):
    """In either order of axes, 0 to 255 or 0 to 1."""
    pixels = np.random.default_rng(1).integers(0, 256, (2, 3, 8, 8), np.uint8)
    images = pixels if dtype == np.uint8 else (pixels / (255 / scale)).astype(dtype)
    np.save(tmp_path / "images.npy", images.transpose(0, 2, 3, 1) if last else images)
    found = read_images(str(tmp_path / "images.npy"), 4, COLOURS)
    mean, std = (np.reshape(each, (3, 1, 1)) for each in (COLOURS.mean, COLOURS.std))
    wanted = (pixels[:, :, ::2, ::2] / 255 - mean) / std
    assert found.dtype == np.float32
    assert np.allclose(found, wanted, atol=1e-5)


def test_prepared_images_stay_as_they_are():
    images = random_images(2, 8)
    assert (read_images(images, 8, COLOURS) == images).all()
    assert (read_images(images.transpose(0, 2, 3, 1), 8) == images).all()


def test_a_folder_needs_the_weights_preprocessing(tmp_path):
    with pytest.raises(InputError, match="are a folder, which only gnv2-nas export reads"):
        read_images(str(tmp_path), 8)
