"""`torch.compile` keeps the contract of runtimes, and compiles every network it is given."""

from __future__ import annotations

import pytest
from torch._dynamo.utils import counters
from torch._inductor import config

from gnv2_nas.arch import Architecture, MobileBlock
from gnv2_nas.errors import InputError
from gnv2_nas.runtimes.base import get_runtime
from tests.runtimes.runtime_contract import RuntimeContract

HARDLY_ANY = Architecture(
    blocks=(MobileBlock(8, 8),), stem_channels=8, conv_channels=8, head_channels=8,
    resolution=16, num_classes=3,
)  # fmt: skip
"""A C++ compiler works for seconds on each kernel; this network has few."""
FEW = {"hardly any": HARDLY_ANY}


@pytest.mark.slow  # a C++ compiler works for half a minute
class TestTorchCompile(RuntimeContract):
    networks = few = FEW
    random_count = 0
    layered = False

    @pytest.fixture
    def runtime(self):
        # Precompiled headers and compiling processes pay from several networks on.
        with config.patch(cpp_cache_precompile_headers=False, compile_threads=1):
            yield get_runtime("torch-compile")

    def small(self):
        return HARDLY_ANY

    def test_its_timer_counts_the_work(self, runtime):
        session = runtime.load(runtime.write(HARDLY_ANY), threads=1)
        times = [runtime.timer(session.run) for _ in range(50)]
        assert all(0 < busy <= wall * 1.5 for wall, busy in times)
        assert max(busy / wall for wall, busy in times) > 0.5

    def test_every_network_of_many_is_compiled(self, runtime):
        """Torch keeps eight versions of one code object and then gives up, silently."""
        files = runtime.write(HARDLY_ANY)
        before = counters["stats"]["unique_graphs"]
        sessions = [runtime.load(files, threads=1) for _ in range(10)]
        for session in sessions:
            session.run()
        assert counters["stats"]["unique_graphs"] == before + 10

    def test_without_a_compiler_says_so(self, monkeypatch):
        monkeypatch.setenv("PATH", "")
        with pytest.raises(InputError, match=r"'torch-compile' needs a C\+\+ compiler") as caught:
            get_runtime("torch-compile")
        assert len(str(caught.value).splitlines()) == 1
