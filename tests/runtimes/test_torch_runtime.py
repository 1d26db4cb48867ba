"""PyTorch keeps the contract of runtimes: eager and channels-last."""

from __future__ import annotations

from contextlib import contextmanager, nullcontext
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch.profiler import ProfilerActivity, profile

from gnv2_nas.arch import preset
from gnv2_nas.errors import CheckpointError, InputError, MeasurementError
from gnv2_nas.graph import lower
from gnv2_nas.nn import timing_model
from gnv2_nas.nn.interpreter import torch_threads
from gnv2_nas.runner.timing import timing_image
from gnv2_nas.runtimes import torch_layers as torch_accelerators
from gnv2_nas.runtimes.base import LAYOUT_CHANGES, get_runtime
from gnv2_nas.runtimes.parity import LIMITS, check_parity, difference, expected_logits
from gnv2_nas.runtimes.torch_layers import intercept_functions
from gnv2_nas.runtimes.torch_runtime import Torch
from tests.measurement.networks import tiny_ghost
from tests.networks import random_model
from tests.runtimes.runtime_contract import NETWORKS, TINY, RuntimeContract

SOME = TINY | {name: NETWORKS[name] for name in ("ghostnetv2-1.0", "mobilenetv3-large-1.0")}


class TestEager(RuntimeContract):
    @pytest.fixture
    def runtime(self):
        return get_runtime("torch")

    def test_every_operator_has_its_time(self, runtime):
        for arch in SOME.values():
            seconds = runtime.layer_seconds(runtime.write(arch), threads=1, runs=1)
            between = seconds.pop(LAYOUT_CHANGES)
            assert set(seconds) == {op.name for op in lower(arch).ops} - {"input"}
            assert all(value > 0 for value in seconds.values())
            assert between >= 0

    def test_carries_weights_of_another_resolution(self, runtime):
        """Whose larger DFC kernels saw more than padding."""
        model, small = random_model(tiny_ghost(64)), tiny_ghost(16)
        session = runtime.load(runtime.write(small, model), threads=1)
        with torch.inference_mode():
            expected = model(torch.from_numpy(session.image))
        assert np.abs(session.logits() - expected.numpy()).max() < 1e-5

    def test_refuses_weights_of_another_network(self, runtime):
        with pytest.raises(CheckpointError):
            runtime.write(TINY["mobile"], random_model(TINY["ghost"]))

    def test_refuses_a_pickle(self, runtime, tmp_path):
        torch.save(timing_model(tiny_ghost()).state_dict(), tmp_path / "weights.pt")
        content = (tmp_path / "weights.pt").read_bytes()
        with pytest.raises(MeasurementError, match="is no safetensors file"):
            runtime.load({".safetensors": content}, threads=1)


class TestChannelsLast(RuntimeContract):
    @pytest.fixture
    def runtime(self):
        return get_runtime("torch-channels-last")


class TestBFloat16(RuntimeContract):
    networks = few = SOME

    @pytest.fixture
    def runtime(self):
        return get_runtime("torch", "bf16")


def test_sessions_do_not_disturb_each_others_threads():
    runtime = Torch()
    files = runtime.write(tiny_ghost())
    with torch_threads(3):
        one, two = runtime.load(files, threads=1), runtime.load(files, threads=2)
        for session in (one, two, one):
            session.run()
            assert torch.get_num_threads() == 3
    seen = []
    with torch_threads(3):
        with torch_threads(2):
            seen.append(torch.get_num_threads())
        seen.append(torch.get_num_threads())
    assert seen == [2, 3]


@pytest.mark.parametrize("processor", ["cuda", "mps"])
def test_an_absent_processor_is_an_input_error(processor, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(InputError, match=f"'{processor}' is not available: torch .* only cpu here"):
        get_runtime("torch", processor=processor)


def test_profiled_ranges_are_the_operators():
    """As read on CUDA; here the processor's time of the same ranges stands in."""
    arch = tiny_ghost()
    model, graph = timing_model(arch), lower(arch)
    image = torch.from_numpy(timing_image(arch.resolution))
    with (
        torch.inference_mode(),
        profile(activities=[ProfilerActivity.CPU]) as profiler,
        intercept_functions(model, graph, torch_accelerators.record_range),
    ):
        model(image)
    seconds = torch_accelerators.sum_by_op(profiler, graph, lambda event: event.cpu_time_total, 1)
    assert set(seconds) == {op.name for op in graph.ops} - {"input"}


def test_the_hooks_are_gone_afterwards():
    model = timing_model(tiny_ghost())
    with intercept_functions(model, lower(tiny_ghost()), lambda _, function: function()):
        pass
    assert not any(part._forward_hooks or part._forward_pre_hooks for part in model.modules())


def test_precision_is_that_of_the_module():
    arch = preset("ghostnetv2-1.0").replace(resolution=64)
    exact, rounded = Torch(), Torch("bf16")
    apart = [
        check_parity(arch, runtime.load(runtime.write(arch), 1), runtime)
        for runtime in (exact, rounded)
    ]
    assert apart[0] < 1e-5 < apart[1] <= LIMITS["bf16"]


if torch.cuda.is_available():

    class TestCuda(RuntimeContract):
        @pytest.fixture(params=["fp32", "fp16", "bf16"])
        def runtime(self, request):
            return get_runtime("torch", request.param, "cuda")


if torch.backends.mps.is_available():

    class TestMps(RuntimeContract):
        layered = False

        @pytest.fixture(params=["fp32", "fp16"])
        def runtime(self, request):
            return get_runtime("torch", request.param, "mps")


class FakeCuda:
    """Stands in for `torch.cuda`: graphs replay the calls that were made while they were open."""

    def __init__(self, *, captures: bool) -> None:
        self.captures, self.synchronized = captures, 0
        self.Stream = self.CUDAGraph = lambda: self
        self.current_stream = lambda: self
        self.stream = lambda _: nullcontext()
        self.replayed = 0

    def Event(self, *, enable_timing):  # noqa: N802  as in torch
        assert enable_timing
        return SimpleNamespace(
            record=lambda: None, synchronize=self.synchronize, elapsed_time=lambda _: 2.5
        )

    def wait_stream(self, _) -> None:
        pass

    def synchronize(self) -> None:
        self.synchronized += 1

    def replay(self) -> None:
        self.replayed += 1

    @contextmanager
    def graph(self, _):
        yield
        if not self.captures:
            raise RuntimeError("operation not permitted when stream is capturing")


@pytest.mark.parametrize("captures", [True, False])
def test_a_cuda_session_replays_a_graph_or_launches_kernels_one_by_one(monkeypatch, captures):
    fake, arch = FakeCuda(captures=captures), tiny_ghost()
    monkeypatch.setattr(torch_accelerators, "cuda", fake)
    timer = torch_accelerators.CudaTimer()
    image = torch.from_numpy(timing_image(arch.resolution))
    session = torch_accelerators.TorchCudaSession(timing_model(arch), image, timer)
    wall, device = timer(session.run)
    assert wall > 0
    assert device == 2.5e-3
    assert (fake.replayed > 0) == captures
    assert fake.synchronized
    assert difference(session.logits(), expected_logits(arch)) < 1e-5


def test_an_mps_session_waits_for_the_result(monkeypatch):
    waited, arch = [], tiny_ghost()
    monkeypatch.setattr(torch.mps, "synchronize", lambda: waited.append(True))
    image = torch.from_numpy(timing_image(arch.resolution))
    session = torch_accelerators.TorchMpsSession(timing_model(arch), image)
    assert difference(session.logits(), expected_logits(arch)) < 1e-5
    assert len(waited) == 2
