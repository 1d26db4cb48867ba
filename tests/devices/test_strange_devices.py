"""A device that says what no runner says: each answer ends in one line, and fills no memory."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest

from gnv2_nas.devices.transports import client
from gnv2_nas.devices.transports.local import LocalTransport
from gnv2_nas.errors import DeviceError, MeasurementError
from gnv2_nas.runner.lock import ignore_waiting
from gnv2_nas.runner.rounds import SessionOrder
from tests.devices.remote import remote_device, set_up
from tests.measurement.networks import tiny_ghost
from tests.waiting import until

READY = '{"event": "ready", "protocol": 1}'


def board_that_says(folder: Path, answers: str, then: str = ""):
    """A device whose runner prints answers and carries out a shell script, whatever it is told."""
    set_up(folder)
    said = folder / "answers"
    said.write_text(answers)
    python = folder / "venv-onnxruntime" / "bin" / "python"
    python.write_text(f"#!/bin/sh\ncat {said}\n{then}\n")
    return remote_device(LocalTransport("board", folder))


@pytest.mark.parametrize(
    ("answers", "problem"),
    [
        ("hello\n", r"said 'hello', which is no answer"),
        ('{"event": "ready", "protocol": 99}\n', "speaks protocol 99"),
        ('{"event": "failed", "message": "no such\\nlibrary"}\n', "failed: no such library"),
        ("", r"ended with exit code 0"),
        ('{"event": "ready", "machine": {"a": ' + 5000 * "[" + "\n", "which is no answer"),
        (150_000 * "x", "sent a line of more than"),
    ],
    ids=["text", "protocol", "failure", "nothing", "depth", "length"],
)
def test_what_no_runner_says_is_an_error(tmp_path, monkeypatch, answers, problem):
    monkeypatch.setattr(client, "MAX_LINE", 1 << 16)
    device = board_that_says(tmp_path, answers)
    with pytest.raises(DeviceError, match=problem) as caught:
        device.fingerprint()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("seconds", ["1e300", "-1", "301"])
def test_times_that_cannot_be_are_an_error(tmp_path, seconds):
    rounds = f'{{"event": "rounds", "rounds": [[[1, 1, {seconds}, 1]]]}}\n{{"event": "done"}}\n'
    device = board_that_says(tmp_path, f"{READY}\n{rounds}", "cat >/dev/null")
    bench = device.host.open_bench([device.runtime.write(tiny_ghost())])
    order = SessionOrder(loading=[0], rounds=[[0]], seconds=60)
    with pytest.raises(DeviceError, match="board sent a round that was not asked for"):
        bench.run_session(order, lambda _: None)
    device.host.close()


def test_what_it_says_after_an_error_is_not_waited_for(tmp_path):
    answers = [READY, '{"event": "locked"}', '{"event": "rounds", "rounds": [[]]}', ""]
    device = board_that_says(tmp_path, "\n".join(answers), 'yes \'{"event": "on and on"}\'')
    bench = device.host.open_bench([device.runtime.write(tiny_ghost())])
    order = SessionOrder(loading=[0], rounds=[[0]], seconds=60)
    with pytest.raises(DeviceError, match="not asked for"), device.host.shared(ignore_waiting):
        bench.run_session(order, lambda _: None)
    device.host.close()


def test_a_device_that_talks_on_and_on_has_to_wait(tmp_path):
    flood = f'yes \'{{"event": "{"x" * 1000}"}}\' | head -c 30000000 | tee said'
    device = board_that_says(tmp_path, f"{READY}\n", flood)
    assert device.host.connection
    sizes = [0]

    def stands_still() -> bool:
        sizes.append((tmp_path / "said").stat().st_size if (tmp_path / "said").exists() else 0)
        return 0 < sizes[-2] == sizes[-1]

    until(stands_still)
    assert sizes[-1] < 10_000_000
    device.host.close()


def test_logits_that_are_no_numbers_are_refused(tmp_path):
    set_up(tmp_path)
    device = remote_device(LocalTransport("board", tmp_path))
    model = onnx.load_from_string(device.runtime.write(tiny_ghost())[".onnx"])
    for tensor in model.graph.initializer:
        if tensor.data_type == onnx.TensorProto.FLOAT and len(tensor.dims) > 1:  # weights
            tensor.raw_data = b"\xff" * len(tensor.raw_data)
    bench = device.host.open_bench([{".onnx": model.SerializeToString()}])
    with pytest.raises(MeasurementError, match=r"not finite \(on device board\)") as caught:
        bench.load(0)
    assert not isinstance(caught.value, DeviceError)
    device.host.close()
