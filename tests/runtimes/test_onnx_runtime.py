"""ONNX Runtime keeps the contract of runtimes."""

from __future__ import annotations

from pathlib import Path
from types import MappingProxyType, SimpleNamespace

import msgspec
import numpy as np
import onnxruntime
import pytest

from gnv2_nas.devices.device import Device
from gnv2_nas.devices.profile import DeviceProfile
from gnv2_nas.errors import InputError, MeasurementError, UnknownNameError
from gnv2_nas.formats.onnx.precision import convert_to_half
from gnv2_nas.formats.onnx.writer import onnx_bytes
from gnv2_nas.measurement.layers import profile_layers
from gnv2_nas.runner.timing import timing_image
from gnv2_nas.runtimes.base import get_runtime
from gnv2_nas.runtimes.onnx_runtime import OnnxRuntime
from gnv2_nas.runtimes.parity import check_parity, difference, expected_logits
from gnv2_nas.runtimes.quantization import random_images
from tests.measurement.networks import tiny_ghost
from tests.runtimes.runtime_contract import (
    FEW,
    NETWORKS,
    SMALL_PRESETS,
    RuntimeContract,
    random_networks,
)


class TestOnnxRuntime(RuntimeContract):
    networks = NETWORKS

    @pytest.fixture
    def runtime(self):
        return get_runtime("onnxruntime")

    def test_profiling_leaves_no_file_behind(self, runtime, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        runtime.layer_seconds(runtime.write(tiny_ghost()), threads=1, runs=1)
        assert list(Path().iterdir()) == []


class TestOnnxRuntimeInt8(RuntimeContract):
    # Eight bits are too few for the sums of sixteen RepGhost blocks with random weights: the parts
    # differ in scale, and their errors add up (0.35 of the largest logit). With weights trained on
    # digits, 99.8 % of the held-out images keep their class.
    few = MappingProxyType(
        {name: arch for name, arch in FEW.items() if not name.startswith("repghost")}
    )

    @pytest.fixture
    def runtime(self):
        return get_runtime("onnxruntime", "int8")

    def test_is_closer_than_the_limit_for_any_runtime(self, runtime):
        for arch in random_networks(3):
            session = runtime.load(runtime.write(arch), threads=1)
            assert check_parity(arch, session, runtime) < 0.2

    def test_file_is_a_quarter_of_that_at_fp32(self, runtime):
        arch = SMALL_PRESETS["ghostnetv2-1.0"]
        ((content,), (whole,)) = (
            made.write(arch).values() for made in (runtime, get_runtime("onnxruntime"))
        )
        assert len(content) < 0.3 * len(whole)


@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
def test_int8_is_calibrated_on_the_images_of_the_profile(tmp_path, runtime):
    path = tmp_path / "images.npy"
    np.save(path, random_images(2, 48))
    arch = tiny_ghost()
    plain = DeviceProfile("without images", runtime=runtime, precision="int8")
    given = msgspec.structs.replace(plain, calibration_images=str(path))
    files = [Device("some", profile).runtime.write(arch) for profile in (plain, given, given)]
    assert files[0] != files[1] == files[2]


@pytest.mark.parametrize("arch", FEW.values(), ids=FEW)
def test_half_precision_computes_the_same_to_three_digits(arch):
    """On the processor, which computes it in float32."""
    image = timing_image(arch.resolution)
    content = convert_to_half(onnx_bytes(arch))
    session = OnnxRuntime().load({".onnx": content}, threads=1)
    assert (session.image == image).all()
    assert difference(session.logits(), expected_logits(arch)) < 2e-2
    assert len(content) < 0.8 * len(onnx_bytes(arch))


def test_calibration_images_are_for_int8_alone():
    with pytest.raises(InputError, match="for precision 'int8', not for 'fp32'"):
        get_runtime("onnxruntime", calibration_images="images.npy")


def test_without_cuda_says_what_to_install(monkeypatch):
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CPUExecutionProvider"])
    with pytest.raises(InputError, match=r"processor 'cuda' needs .* pip install onnxruntime-gpu"):
        get_runtime("onnxruntime", processor="cuda")


class OnCuda:
    """Stands in for a session on CUDA and for its bound values; it computes on the processor."""

    def __init__(self, content, options, providers):
        self.asked = providers
        self.session = REAL_SESSION(content, options, providers=["CPUExecutionProvider"])
        self.get_inputs, self.get_outputs = self.session.get_inputs, self.session.get_outputs

    def get_providers(self):
        return [self.asked[0][0]]

    def io_binding(self):
        bound = {}
        return SimpleNamespace(
            bind_ortvalue_input=lambda _, value: bound.update(image=value.array),
            bind_ortvalue_output=lambda _, value: bound.update(answer=value.array),
            synchronize_outputs=lambda: None,
            bound=bound,
        )

    def run_with_iobinding(self, binding):
        (name,) = (each.name for each in self.get_inputs())
        binding.bound["answer"][:] = self.session.run(None, {name: binding.bound["image"]})[0]


REAL_SESSION = onnxruntime.InferenceSession


@pytest.mark.parametrize("falls_back", [False, True])
def test_a_cuda_session_keeps_input_and_output_on_the_device(monkeypatch, falls_back):
    def value(array):
        return SimpleNamespace(array=array, numpy=lambda: array)

    values = SimpleNamespace(
        ortvalue_from_numpy=lambda array, *_: value(array),
        ortvalue_from_shape_and_type=lambda shape, dtype, *_: value(np.zeros(shape, dtype)),
    )
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CUDAExecutionProvider"])
    monkeypatch.setattr(onnxruntime, "InferenceSession", OnCuda)
    monkeypatch.setattr(onnxruntime, "OrtValue", values)
    runtime, arch = get_runtime("onnxruntime", processor="cuda"), tiny_ghost()
    if falls_back:
        monkeypatch.setattr(OnCuda, "get_providers", lambda _: ["CPUExecutionProvider"])
        with pytest.raises(MeasurementError, match="could not start its CUDAExecutionProvider"):
            runtime.load(runtime.write(arch), threads=1)
        return
    session = runtime.load(runtime.write(arch), threads=1)
    assert difference(session.logits(), expected_logits(arch)) < 1e-4
    wall, busy = runtime.timer(session.run)
    assert wall == busy > 0


if "CUDAExecutionProvider" in onnxruntime.get_available_providers():

    class TestOnnxRuntimeCuda(RuntimeContract):
        layered = False

        @pytest.fixture(params=["fp32", "fp16"])
        def runtime(self, request):
            return get_runtime("onnxruntime", request.param, "cuda")


@pytest.mark.parametrize("arch", FEW.values(), ids=FEW)
def test_layer_shares_and_multiply_adds_add_up(cpu, arch):
    from gnv2_nas.graph import count

    layers = profile_layers(arch, cpu, runs=2)
    assert sum(layer.share for layer in layers) == pytest.approx(1)
    assert sum(layer.macs for layer in layers) == count(arch).macs
    total = sum(layer.ms for layer in layers)
    for layer in layers:
        assert layer.share == pytest.approx(layer.ms / total)
        assert (layer.kind == "runtime") == (layer.shape == ())


def test_an_unknown_runtime_is_answered_with_the_known_ones():
    with pytest.raises(UnknownNameError, match=r"unknown runtime 'onnx'; .*known: .*onnxruntime"):
        get_runtime("onnx")
