"""Peak resident memory: what is in it, that it repeats, and where there is none."""

from __future__ import annotations

import pytest

from gnv2_nas.devices import Device, DeviceProfile
from gnv2_nas.devices.profile import BenchmarkProgram
from gnv2_nas.devices.transports.local import LocalTransport
from gnv2_nas.errors import InputError, MeasurementError
from gnv2_nas.measurement.peak_memory import check_tells_memory, measure_peak_memory
from gnv2_nas.runner import peak_memory
from tests.devices.remote import PROFILE, remote_device, set_up
from tests.measurement.networks import tiny_ghost

SMALL = tiny_ghost(64)
LARGE = SMALL.replace(head_channels=1280, num_classes=4000)
WEIGHTS = 4 * (1280 * 4000 - 16 * 5)
"""Bytes that the larger classifier adds."""


@pytest.fixture(scope="module")
def device():
    return Device("here", PROFILE)


@pytest.fixture(scope="module")
def measured(device):
    return measure_peak_memory([LARGE, SMALL], device)


def test_weights_are_resident_as_often_as_the_runtime_copies_them(measured):
    large, small = measured
    # ONNX Runtime keeps them as they are and as its kernels want them.
    assert 0.99 < (large - small) / WEIGHTS < 2.2


def test_the_runtime_and_the_file_that_was_read_are_not_counted(measured):
    assert 0 < measured[1] < 2e6  # its libraries alone take 30 MB


def test_it_repeats_whatever_pages_the_caller_uses_and_whatever_came_before(
    device, measured, monkeypatch
):
    monkeypatch.setenv("GLIBC_TUNABLES", "glibc.malloc.hugetlb=1")
    small, large = measure_peak_memory([SMALL, LARGE], device)
    assert large == pytest.approx(measured[0], rel=0.03)
    assert small == pytest.approx(measured[1], rel=0.1)


def test_a_runner_tells_the_same(tmp_path, measured):
    set_up(tmp_path)
    board = remote_device(LocalTransport("board", tmp_path))
    try:
        (there,) = measure_peak_memory([LARGE], board)
    finally:
        board.host.close()
    assert there == pytest.approx(measured[0], rel=0.03)


def test_a_file_that_the_runtime_refuses(tmp_path):
    (damaged := tmp_path / "network.onnx").write_bytes(b"damaged")
    with pytest.raises(MeasurementError, match=r"^ONNX Runtime refused the file: .+$"):
        peak_memory.measure_peak_memory([str(damaged)], [str(damaged)], "onnxruntime", 1)


@pytest.mark.parametrize(
    ("system", "why"),
    [
        ("import os; os.kill(os.getpid(), 9)", "was killed, perhaps because memory ran out"),
        ("raise OSError('no\\nmemory')", "ended with exit code 1: memory"),
    ],
)
def test_a_process_that_fails_says_why(monkeypatch, system, why):
    monkeypatch.setattr(peak_memory, "_START", system)
    with pytest.raises(MeasurementError, match=why):
        peak_memory.measure_peak_memory([], [], "onnxruntime", 1)


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        (
            {"transport": "ssh", "host": "pi", "runner": "native", "runtime": "ncnn"},
            "native runner",
        ),
        ({"benchmark": BenchmarkProgram("trtexec", "trtexec")}, "trtexec"),
        ({"processor": "cuda"}, "networks on cuda"),
        ({"runtime": "torch"}, "runs torch: our"),
    ],
)
def test_devices_that_do_not_tell_it(fields, why):
    with pytest.raises(InputError, match=rf"^device 'x' does not tell peak memory, .*{why}.*$"):
        check_tells_memory("x", DeviceProfile("", **fields))


def test_a_system_that_does_not_tell_it(monkeypatch, tmp_path):
    check_tells_memory("x", PROFILE)
    monkeypatch.setattr(peak_memory, "_CLEAR", tmp_path / "clear_refs")
    with pytest.raises(InputError, match="it does not run Linux"):
        check_tells_memory("x", PROFILE)
