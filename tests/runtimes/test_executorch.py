"""ExecuTorch keeps the contract of runtimes."""

from __future__ import annotations

import pytest

from gnv2_nas.arch import preset
from gnv2_nas.errors import MeasurementError
from gnv2_nas.formats.executorch.writer import pte_bytes, read_program_architecture
from gnv2_nas.runtimes.base import get_runtime
from gnv2_nas.runtimes.executorch_runtime import attribute_events
from tests.runtimes.runtime_contract import NETWORKS, RuntimeContract


class TestExecuTorch(RuntimeContract):
    @pytest.fixture
    def runtime(self):
        return get_runtime("executorch")

    def test_refuses_a_second_number_of_threads(self, runtime):
        files = runtime.write(self.small())
        session = runtime.load(files, threads=1)
        with pytest.raises(MeasurementError, match=r"1 while a session is loaded, .* have 2$"):
            runtime.load(files, threads=2)
        del session
        runtime.load(files, threads=2)

    def test_prints_nothing(self, runtime, capfd):
        files = runtime.write(self.small())
        for threads in (2, 1):
            runtime.load(files, threads).run()
        with pytest.raises(MeasurementError):
            runtime.load({".pte": b"garbage\n" * 9}, 1)
        assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("arch", NETWORKS.values(), ids=NETWORKS)
def test_a_file_says_which_network_it_is(arch):
    assert read_program_architecture(pte_bytes(arch)) == arch


# Where torch and a plain division pick different pixels, runs of every length, one pixel.
@pytest.mark.parametrize("resolution", [33, 47, 64, 90, 114])
def test_nearest_rows_are_those_of_torch_at_any_size(resolution):
    from gnv2_nas.runtimes.parity import check_parity

    runtime = get_runtime("executorch")
    arch = preset("ghostnetv2-1.0").replace(resolution=resolution)
    session = runtime.load(runtime.write(arch), threads=1)
    assert check_parity(arch, session, runtime) < 1e-5


def test_events_that_are_not_those_of_the_file_are_no_layers():
    with pytest.raises(MeasurementError, match="cannot time single layers"):
        list(attribute_events([("Softmax (NC) #1", 1.0)], []))
