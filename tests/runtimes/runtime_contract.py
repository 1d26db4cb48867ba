"""What every runtime must do; a test module for each subclasses `RuntimeContract`."""

from __future__ import annotations

import functools
import random
import time
from abc import ABC, abstractmethod

import numpy as np
import pytest
import torch

from gnv2_nas.arch import Architecture, preset
from gnv2_nas.errors import MeasurementError
from gnv2_nas.graph import lower
from gnv2_nas.runner.timing import RuntimeFiles, Session
from gnv2_nas.runtimes.base import LAYOUT_CHANGES, Runtime
from gnv2_nas.runtimes.parity import LIMITS, expected_logits
from gnv2_nas.space import load_space
from tests.measurement.networks import tiny_ghost, tiny_mobile
from tests.networks import PRESETS, difference, random_model

TINY = {"ghost": tiny_ghost(), "mobile": tiny_mobile(), "odd": tiny_ghost(33)}
SMALL_PRESETS = {name: preset(name).replace(resolution=64) for name in PRESETS}
MANY_PARTS = load_space("mobile").sample(random.Random(1)).replace(resolution=64)
"""With Ghost modules of ratio 4, too wide to be computed in one."""
NETWORKS = TINY | SMALL_PRESETS | {"many parts": MANY_PARTS}
FEW = TINY | {
    name: NETWORKS[name]
    for name in ("ghostnetv2-1.0", "mobilenetv3-large-0.75", "repghostnet-1.0", "many parts")
}
"""One of each kind: the other presets are as these, in other widths."""

by_torch = functools.cache(expected_logits)
"""The logits that every runtime must give, computed once for all of them."""


def random_networks(count: int, resolution: int = 64) -> list[Architecture]:
    space, rng = load_space("ghostnetv2"), random.Random(3)
    return [space.sample(rng).replace(resolution=resolution) for _ in range(count)]


def differs_from_torch(session: Session, arch: Architecture) -> float:
    return difference(session.logits(), by_torch(arch))


class RuntimeContract(ABC):
    """Give `runtime`. The default runtime computes every preset, the others one of each kind."""

    networks = few = FEW
    random_count = 3
    layered = True
    """Whether the runtime can tell the time of single layers."""

    @pytest.fixture
    @abstractmethod
    def runtime(self) -> Runtime: ...

    def small(self) -> Architecture:
        """The network that is asked about more than once."""
        return TINY["ghost"]

    def test_says_its_name_and_version(self, runtime):
        _, version = runtime.version().split(" ", 1)
        assert version[0].isdigit()

    def test_writes_the_same_file_every_time(self, runtime):
        assert runtime.write(self.small()) == runtime.write(self.small())

    def test_computes_what_torch_computes(self, runtime):
        for arch in self.networks.values():
            session = runtime.load(runtime.write(arch), threads=1)
            assert session.image.shape == (1, 3, arch.resolution, arch.resolution)
            assert differs_from_torch(session, arch) <= LIMITS[runtime.precision]
            # Numbers that the processor slows down for would time another network.
            assert 1e-12 < float(abs(session.logits()).max()) < 1e12

    def test_computes_random_networks(self, runtime):
        for arch in random_networks(self.random_count):
            session = runtime.load(runtime.write(arch), threads=1)
            assert differs_from_torch(session, arch) <= LIMITS[runtime.precision]

    def test_carries_trained_weights(self, runtime):
        for arch in self.few.values():
            model = random_model(arch)
            session = runtime.load(runtime.write(arch, model), threads=1)
            with torch.inference_mode():
                expected = model(torch.from_numpy(session.image))
            limit = 1e-4 if runtime.precision == "fp32" else LIMITS[runtime.precision]
            assert difference(session.logits(), expected) < limit

    def test_classifies_the_image_that_it_is_given(self, runtime):
        arch = self.small()
        model, rng = random_model(arch), np.random.default_rng(5)
        session = runtime.load(runtime.write(arch, model), threads=1)
        limit = 1e-4 if runtime.precision == "fp32" else LIMITS[runtime.precision]
        for _ in range(3):
            image = rng.standard_normal(session.image.shape, dtype=np.float32)
            session.set_image(image)
            with torch.inference_mode():
                expected = model(torch.from_numpy(image))
            assert difference(session.logits(), expected) < limit

    def test_runs_on_noise_that_is_always_the_same(self, runtime):
        one, other = (runtime.load(runtime.write(self.small()), 1) for _ in range(2))
        assert (one.image == other.image).all()
        assert abs(float(one.image.std()) - 1) < 0.1
        assert (one.logits() == other.logits()).all()

    def test_a_result_stays_what_it_was(self, runtime):
        session = runtime.load(runtime.write(self.small()), threads=1)
        first = session.logits()
        kept = first.copy()
        session.run()
        assert first.dtype == np.float32
        assert (first == kept).all()
        assert (session.logits() == kept).all()

    def test_threads_do_not_change_the_result(self, runtime):
        files = runtime.write(self.small())
        one, two = (runtime.load(files, threads).logits() for threads in (1, 2))
        assert difference(two, one) < max(1e-5, LIMITS[runtime.precision] / 100)

    def test_its_timer_counts_the_work(self, runtime):
        session = runtime.load(runtime.write(self.small()), threads=1)
        session.run()
        # Short calls: some of many are not interrupted, however busy the machine is.
        times = [runtime.timer(session.run) for _ in range(100)]
        assert all(0 < busy <= wall * 1.5 for wall, busy in times)
        assert max(busy / wall for wall, busy in times) > 0.5

    def test_layers_are_those_of_the_graph(self, runtime):
        if not self.layered:
            with pytest.raises(MeasurementError, match="layer"):
                runtime.layer_seconds(runtime.write(self.small()), threads=1, runs=1)
            return
        for arch in self.few.values():
            seconds = runtime.layer_seconds(runtime.write(arch), threads=1, runs=2)
            assert set(seconds) <= {*(op.name for op in lower(arch).ops), LAYOUT_CHANGES}
            assert all(value >= 0 for value in seconds.values())

    def test_layers_add_up_to_a_call(self, runtime):
        """To the order of magnitude; `python -m benchmarks runtimes` prints how exactly."""
        if not self.layered:
            return
        files = runtime.write(NETWORKS["ghostnetv2-1.0"])
        session = runtime.load(files, threads=1)
        calls = []
        for _ in range(12):
            started = time.perf_counter()
            session.run()
            calls.append(time.perf_counter() - started)
        total = sum(runtime.layer_seconds(files, threads=1, runs=5).values())
        assert min(calls) / 4 < total < max(calls) * 4

    @pytest.mark.parametrize("cut", [0, 1, 100, -100])
    def test_a_file_that_is_none_is_refused_in_one_line(self, runtime, cut):
        for suffix, content in runtime.write(self.small()).items():
            damaged: RuntimeFiles = runtime.write(self.small()) | {
                suffix: content[:cut] if cut else b"garbage\n" * 9
            }
            with pytest.raises(MeasurementError) as caught:
                runtime.load(damaged, threads=1)
            assert len(str(caught.value).splitlines()) == 1
            assert len(str(caught.value)) < 400
