"""The runner with ncnn on another architecture: what it computes, and in which order.

The processor is emulated, so no time is looked at, except to tell networks apart.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np
import pytest

from gnv2_nas.devices.host import Bench
from gnv2_nas.devices.profile import DeviceProfile
from gnv2_nas.devices.remote_host import RemoteHost
from gnv2_nas.devices.runner_program import (
    RunnerProgram,
    runner_arguments,
    runner_bytes,
    runner_name,
)
from gnv2_nas.devices.transports.local import LocalTransport
from gnv2_nas.measurement.plan import MeasurementPlan, collect
from gnv2_nas.runtimes.base import Precision, get_runtime
from gnv2_nas.runtimes.parity import difference, expected_logits
from tests.runner.arm_machine import arm_python
from tests.runner.ncnn_networks import NETWORKS, ROUNDING, SIZES, open_bench


@contextmanager
def open_board(folder: Path, precision: Precision = "fp32") -> Iterator[RemoteHost]:
    """An Arm machine as a device, which this one reaches without a network."""
    try:
        python = arm_python()
    except FileNotFoundError as missing:
        pytest.skip(str(missing))
    profile = DeviceProfile("A Raspberry Pi 5.", runtime="ncnn", precision=precision)
    command = (*python, runner_name(), *runner_arguments(profile))
    program = RunnerProgram(runner_name(), runner_bytes(), command)
    with closing(RemoteHost("board", "ncnn", program, LocalTransport("board", folder))) as host:
        yield host


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RemoteHost]:
    with open_board(tmp_path_factory.mktemp("board")) as host:
        yield host


@pytest.fixture(scope="module")
def bench(board: RemoteHost) -> Bench:
    """`SIZES`, and after them `NETWORKS`."""
    return open_bench(board, *SIZES, *NETWORKS.values())


def test_the_machine_says_what_it_is(board):
    found = board.fingerprint()
    assert found.system.endswith(" aarch64")
    assert found.runtime == get_runtime("ncnn").version()


@pytest.mark.parametrize("name", NETWORKS)
def test_fp32_computes_what_torch_computes(bench, name):
    number = len(SIZES) + list(NETWORKS).index(name)
    assert difference(bench.load(number), expected_logits(NETWORKS[name])) < ROUNDING


def test_fp16_which_ncnn_uses_on_arm_unless_told_otherwise_is_told_apart(tmp_path):
    """So the test above fails where fp32 is asked for and fp16 computed."""
    arch = NETWORKS["random 0"]
    with open_board(tmp_path, "fp16") as board:
        apart = difference(open_bench(board, arch).load(0), expected_logits(arch))
    assert 100 * ROUNDING < apart < 0.05


def test_rounds_visit_networks_in_the_order_of_the_plan(bench):
    plan = MeasurementPlan(rounds=4, max_sessions=1, max_seconds=1e6)
    timings = collect(bench, len(SIZES), plan, random.Random(0), enough=lambda _: True)
    assert len({tuple(each) for each in timings.order.argsort(axis=0).T}) > 2
    # A visit that the device made out of turn is taken for one of another network.
    assert np.all(np.diff(timings.busy, axis=0) > 0)
