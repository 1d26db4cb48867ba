"""A device of known speeds: files are written and loaded for real, their times are drawn."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from gnv2_nas.arch import Architecture
from gnv2_nas.devices import Device, DeviceProfile
from gnv2_nas.devices.host import LocalBench, LocalHost
from gnv2_nas.errors import MeasurementError
from gnv2_nas.graph.passes.form import FileForm
from gnv2_nas.runner.rounds import RoundCallback, SessionOrder, Visit
from gnv2_nas.runner.timing import RuntimeFiles
from gnv2_nas.runtimes.base import Runtime
from tests.measurement.networks import tiny_ghost, tiny_mobile

NETWORKS: Mapping[str, Architecture] = {"ghost": tiny_ghost(48), "mobile": tiny_mobile()}
NOISE, SESSION_NOISE = 0.01, 0.001
"""Standard deviations, in logs, of a call and of a file within one session."""

Speed = Callable[[str, FileForm], float]
"""Name of a network, form of its file → seconds."""


class SimulatedHost(LocalHost):
    """This machine, but each file takes a known time, and files of some forms are refused."""

    def __init__(
        self, runtime: Runtime, forms: Sequence[FileForm], speed: Speed, refused: Sequence[FileForm]
    ) -> None:
        super().__init__(runtime, 1)
        self._rng = random.Random(0)
        self._known = [
            (runtime.with_form(form).write(arch), speed(name, form), form in refused)
            for name, arch in NETWORKS.items()
            for form in (FileForm(), *forms)
        ]
        self.benches: list[int] = []
        """Number of files of each bench."""

    def open_bench(self, networks: Sequence[RuntimeFiles]) -> LocalBench:
        self.benches.append(len(networks))
        facts = [next(each for each in self._known if each[0] == files) for files in networks]
        bench = SimulatedBench(self._runtime, 1, networks)
        bench.seconds, bench.refused, bench.rng = (
            [fact[1] for fact in facts],
            [fact[2] for fact in facts],
            self._rng,
        )
        return bench


class SimulatedBench(LocalBench):
    seconds: list[float]
    refused: list[bool]
    rng: random.Random

    def load(self, number: int) -> NDArray[np.float32]:
        if self.refused[number]:
            raise MeasurementError("the engine knows no such layer")
        return super().load(number)

    def run_session(self, order: SessionOrder, report: RoundCallback) -> None:
        places = [self.rng.lognormvariate(0, SESSION_NOISE) for _ in self.seconds]
        for sequence in order.rounds:
            report([self._visit(self.seconds[number] * places[number]) for number in sequence])

    def _visit(self, seconds: float) -> Visit:
        first, second = (seconds * self.rng.lognormvariate(0, NOISE) for _ in range(2))
        return (first, first, second, second)


def simulated_device(
    forms: Sequence[FileForm],
    speed: Speed,
    *,
    refused: Sequence[FileForm] = (),
    profile: DeviceProfile = DeviceProfile("simulated"),  # noqa: B008  frozen
) -> Device:
    device = Device("board", profile)
    device.host = SimulatedHost(device.runtime, forms, speed, refused)
    return device
