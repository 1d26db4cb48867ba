"""LiteRT keeps the contract of runtimes."""

from __future__ import annotations

import pytest

from gnv2_nas.arch import preset
from gnv2_nas.errors import MeasurementError
from gnv2_nas.graph import lower
from gnv2_nas.runtimes import litert_layers as litert_profiler
from gnv2_nas.runtimes import litert_runtime
from gnv2_nas.runtimes.base import LAYOUT_CHANGES, get_runtime
from tests.measurement.networks import tiny_ghost
from tests.runtimes.runtime_contract import TINY, RuntimeContract


class TestLiteRt(RuntimeContract):
    @pytest.fixture
    def runtime(self):
        return get_runtime("litert")

    def test_every_convolution_has_a_time(self, runtime):
        arch = preset("ghostnetv2-1.0")
        seconds = runtime.layer_seconds(runtime.write(arch), threads=1, runs=3)
        fused = {op.inputs[0] for op in lower(arch).ops if op.kind == "relu"}
        unfused = [
            op.name
            for number, op in enumerate(lower(arch).ops)
            if op.kind in ("conv", "linear") and number not in fused
        ]
        assert set(unfused) <= set(seconds)
        assert all(seconds[name] > 0 for name in (*unfused, LAYOUT_CHANGES))

    def test_a_profile_of_another_form_is_an_error(self, runtime, monkeypatch):
        monkeypatch.setattr(
            litert_profiler.LiteRtProfiler, "run", lambda _: ([("Softmax (NC)", 1e-6)], 1e-6)
        )
        with pytest.raises(MeasurementError, match="cannot tell the time of layers"):
            runtime.layer_seconds(runtime.write(tiny_ghost()), threads=1, runs=1)

    def test_layers_of_an_untested_version_are_refused(self, runtime, monkeypatch):
        monkeypatch.setattr(litert_runtime, "engine_version", lambda _: "99.0")
        with pytest.raises(MeasurementError, match=r"LiteRT 99\.0 cannot time single layers"):
            runtime.layer_seconds({}, threads=1, runs=1)

    def test_writes_nothing_to_the_terminal(self, runtime, capfd):
        files = runtime.write(tiny_ghost())
        runtime.load(files, threads=1).run()
        runtime.layer_seconds(files, threads=1, runs=1)
        with pytest.raises(MeasurementError):
            runtime.load({".tflite": files[".tflite"][:100]}, threads=1)
        assert capfd.readouterr() == ("", "")


class TestLiteRtAtHalfPrecision(RuntimeContract):
    networks = TINY
    few = TINY
    random_count = 3

    @pytest.fixture
    def runtime(self):
        return get_runtime("litert", "fp16")
