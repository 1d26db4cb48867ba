"""ONNX Runtime keeps the contract of runtimes."""

from __future__ import annotations

from pathlib import Path

import pytest

from gnv2_nas.errors import UnknownNameError
from gnv2_nas.profiling.layers import profile_layers
from gnv2_nas.profiling.runtime import get_runtime
from tests.profiling.networks import tiny_ghost
from tests.profiling.runtime_contract import NETWORKS, RuntimeContract


class TestOnnxRuntime(RuntimeContract):
    @pytest.fixture
    def runtime(self):
        return get_runtime("onnxruntime")

    def test_profiling_leaves_no_file_behind(self, runtime, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        runtime.layer_seconds(runtime.write(tiny_ghost()), threads=1, runs=1)
        assert list(Path().iterdir()) == []


@pytest.mark.parametrize("arch", NETWORKS.values(), ids=NETWORKS)
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
