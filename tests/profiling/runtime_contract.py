"""What every runtime must do; a test module for each subclasses `RuntimeContract`."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from typing import Any

import pytest
import torch

from gnv2_nas.arch import Architecture, list_presets, preset
from gnv2_nas.errors import MeasurementError
from gnv2_nas.graph import lower
from gnv2_nas.nn import Network
from gnv2_nas.profiling.runtime import Runtime, Session
from tests.networks import difference, random_model
from tests.profiling.networks import tiny_ghost, tiny_mobile

TINY = {"ghost": tiny_ghost(), "mobile": tiny_mobile(), "odd": tiny_ghost(33)}
SMALL_PRESETS = {name: preset(name).replace(resolution=64) for name in list_presets()}
NETWORKS = TINY | SMALL_PRESETS
COMPARED = TINY | {
    name: SMALL_PRESETS[name] for name in ("ghostnetv2-1.0", "mobilenetv3-large-0.75")
}


class RuntimeContract(ABC):
    """Give `runtime`, and how its files are made from trained weights and its inputs read."""

    @pytest.fixture
    @abstractmethod
    def runtime(self) -> Runtime: ...

    @abstractmethod
    def artefact(self, arch: Architecture, model: Network) -> bytes:
        """The file this runtime loads, with the weights of `model`."""

    @abstractmethod
    def image(self, session: Session) -> Any:
        """The input a session runs on, (1, 3, resolution, resolution)."""

    def test_says_its_name_and_version(self, runtime):
        name, version = runtime.version().split(" ", 1)
        assert name == runtime.name
        assert version[0].isdigit()

    @pytest.mark.parametrize("arch", NETWORKS.values(), ids=NETWORKS)
    def test_writes_the_same_file_every_time_and_loads_it(self, runtime, arch):
        first = runtime.write(arch)
        assert runtime.write(arch) == first
        (logits,) = runtime.load(first, threads=1).run()
        assert logits.shape == (1, arch.num_classes)
        assert torch.isfinite(torch.as_tensor(logits)).all()
        # Numbers that the processor slows down for would time another network.
        assert 1e-12 < float(abs(logits).max()) < 1e12

    @pytest.mark.parametrize("arch", COMPARED.values(), ids=COMPARED)
    def test_computes_what_torch_computes(self, runtime, arch):
        model = random_model(arch)
        session = runtime.load(self.artefact(arch, model), threads=1)
        with torch.inference_mode():
            expected = model(torch.as_tensor(self.image(session)))
        assert difference(session.run()[0], expected) < 1e-4

    def test_runs_on_noise_that_is_always_the_same(self, runtime):
        one, other = (runtime.load(runtime.write(TINY["ghost"]), 1) for _ in range(2))
        assert (self.image(one) == self.image(other)).all()
        assert abs(float(self.image(one).std()) - 1) < 0.1
        assert (one.run()[0] == other.run()[0]).all()

    def test_threads_do_not_change_the_result(self, runtime):
        artefact = runtime.write(TINY["ghost"])
        one, two = (runtime.load(artefact, threads).run()[0] for threads in (1, 2))
        assert difference(two, one) < 1e-5

    @pytest.mark.parametrize("arch", NETWORKS.values(), ids=NETWORKS)
    def test_layers_are_those_of_the_graph(self, runtime, arch):
        seconds = runtime.layer_seconds(runtime.write(arch), threads=1, runs=2)
        ops = lower(arch).ops
        assert set(seconds) <= {*(op.name for op in ops), "(layout)"}
        assert all(value >= 0 for value in seconds.values())
        for number, op in enumerate(ops):
            if op.kind in ("conv", "linear"):
                # Under its own name or that of the activation function fused into it.
                fused = {reader.name for reader in ops if number in reader.inputs}
                assert {op.name, *fused} & set(seconds)

    def test_layers_add_up_to_a_call(self, runtime):
        artefact = runtime.write(preset("ghostnetv2-1.0"))
        session = runtime.load(artefact, threads=1)
        calls = []
        for _ in range(12):
            started = time.perf_counter()
            session.run()
            calls.append(time.perf_counter() - started)
        total = sum(runtime.layer_seconds(artefact, threads=1, runs=10).values())
        assert min(calls) / 4 < total < max(calls) * 4

    @pytest.mark.parametrize("cut", [0, 1, 100, -100])
    def test_a_file_that_is_none_is_refused_in_one_line(self, runtime, cut):
        artefact = runtime.write(TINY["mobile"])[:cut] if cut else b"garbage\n" * 9
        with pytest.raises(MeasurementError) as caught:
            runtime.load(artefact, threads=1)
        assert len(str(caught.value).splitlines()) == 1
        assert len(str(caught.value)) < 400
