"""A device that is another process: what is measured on it, and what happens when it fails."""

from __future__ import annotations

import contextlib
import os
import signal
import statistics
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import pytest

from gnv2_nas.devices import remote_files
from gnv2_nas.devices.transports.local import LocalTransport
from gnv2_nas.errors import ConnectionLostError, DeviceError, MeasurementError, OutOfTimeError
from gnv2_nas.measurement import measure, protocol, reconnect
from gnv2_nas.measurement.batch import Batch
from gnv2_nas.runner.lock import DeviceLock, ignore_waiting, lock_deadline
from gnv2_nas.runner.rounds import SessionOrder
from tests.devices.remote import PROFILE, remote_device, set_up
from tests.measurement.networks import tiny_ghost, tiny_mobile
from tests.waiting import all_gone, until

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("device")
    set_up(folder)
    return folder


@pytest.fixture
def device(folder):
    device = remote_device(LocalTransport("board", folder))
    yield device
    device.host.close()


def runners(folder: Path) -> list[int]:
    """The processes that run out of this folder, shells left out."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0")
            here = (entry / "cwd").readlink() == folder
        except OSError:
            continue
        if here and any(word.startswith(b"runner-") for word in words):
            found.append(int(entry.name))
    return found


def measured(device, **how):
    return measure([tiny_ghost(), tiny_mobile()], device, seconds_per_network=0.3, **how)


def order(*rounds):
    return SessionOrder(loading=sorted(rounds[0]), rounds=rounds, seconds=60)


def test_it_measures_as_this_process_does(device):
    shares = []
    remote, local = measured(device, progress=shares.append), measured("cpu")
    assert [each.architecture for each in remote] == [each.architecture for each in local]
    for there, here in zip(remote, local, strict=True):
        assert there.parity == here.parity < 1e-3
        assert there.device == "board"
        assert (there.fingerprint.cpu, there.fingerprint.runtime) == (
            here.fingerprint.cpu, here.fingerprint.runtime,
        )  # fmt: skip
        assert there.rounds == len(there.wall_ms) == len(there.cpu_ms) > 10
        assert there.sessions >= 2
    assert shares == sorted(shares)
    assert shares[-1] == 1


def test_rounds_come_in_the_order_that_was_asked_for(device):
    small, large = tiny_ghost(), tiny_ghost().replace(resolution=160)
    bench = device.host.open_bench([device.runtime.write(arch) for arch in (small, large)])
    rounds = [[0, 1], [1, 0]] * 5
    found = []
    bench.run_session(order(*rounds), found.append)
    assert len(found) == len(rounds)
    seconds = {0: [], 1: []}
    for sequence, visits in zip(rounds, found, strict=True):
        for number, (_, _, _, busy) in zip(sequence, visits, strict=True):
            seconds[number].append(busy)
    assert 2 * statistics.median(seconds[0]) < statistics.median(seconds[1])


def test_files_are_sent_once_and_earlier_ones_make_room(device, folder, monkeypatch):
    files = [device.runtime.write(tiny_ghost().replace(head_channels=n)) for n in (8, 16, 24)]
    (first, *_), (second, *_) = device.host.store(files[:2])
    before = (folder / first).stat().st_mtime_ns
    device.host.disconnect()  # it asks the device what is there
    device.host.store(files[:2])
    assert (folder / first).stat().st_mtime_ns == before
    monkeypatch.setattr(remote_files, "MAX_BYTES", 2 * len(files[0][".onnx"]))
    ((third, *_),) = device.host.store(files[2:])
    assert (folder / third).read_bytes() == files[2][".onnx"]
    assert not (folder / first).exists()
    assert not (folder / second).exists()


def test_files_that_sessions_load_stay_while_others_are_sent(device, monkeypatch):
    monkeypatch.setattr(remote_files, "MAX_BYTES", 1)
    first, second = (device.runtime.write(tiny_ghost().replace(head_channels=n)) for n in (8, 16))
    bench, found = device.host.open_bench([first]), []
    device.host.store([second])
    for _ in range(2):  # each session loads the file anew
        bench.run_session(order([0]), found.append)
    assert len(found) == 2


def test_threads_that_ask_at_the_same_time_share_a_runner(device, folder):
    with ThreadPoolExecutor(2) as threads:
        tasks = [threads.submit(device.fingerprint) for _ in range(2)]
        assert tasks[0].result().cpu == tasks[1].result().cpu
    assert len(runners(folder)) == 1


def test_a_closed_device_gets_nothing_more(device):
    files = device.runtime.write(tiny_ghost())
    device.host.close()
    for use in (device.host.store, device.host.open_bench):
        with pytest.raises(DeviceError, match="the connection to board was closed"):
            use([files])


def test_killed_in_the_middle_it_measures_again_from_the_start(device, folder, monkeypatch):
    monkeypatch.setattr(reconnect, "DELAYS", (0.0,))
    said, killed = [], []

    def kill_once(share: float) -> None:
        if share and not killed:
            killed.extend(runners(folder))
            for pid in killed:
                os.kill(pid, signal.SIGKILL)

    found = measured(device, progress=kill_once, waiting=said.append)
    assert killed
    (line,) = said
    assert "board was killed, perhaps because memory ran out; trying again" in line
    assert all(each.rounds == len(each.wall_ms) for each in found)


def test_files_that_another_host_has_removed_are_sent_again(device, folder, monkeypatch):
    monkeypatch.setattr(reconnect, "DELAYS", (0.0,))
    said, removed = [], []

    def remove_once(share: float) -> None:
        if share and not removed:
            removed.extend((folder / "files").iterdir())
            for path in removed:
                path.unlink()

    found = measured(device, progress=remove_once, waiting=said.append)
    assert len(found) == 2
    assert said == ["files of networks vanished from board; trying again in 0 s"]


def test_closed_in_the_middle_it_does_not_try_again(device):
    said = []

    def close(share: float) -> None:
        if share:
            device.host.close()

    with pytest.raises(DeviceError, match="the connection to board was closed"):
        measured(device, progress=close, waiting=said.append)
    assert said == []


def test_every_network_that_is_loaded_in_a_session_is_told(device):
    """Else a slow board would seem to hang while it loads many."""
    host, events = device.host, []
    host.open_bench([device.runtime.write(tiny_ghost()), device.runtime.write(tiny_mobile())])
    host.connection.send("session", 9, "0,1", "0,1")
    host.connection.await_event("done", lambda answer: events.append(answer.event))
    assert events == ["read", "read", "rounds"]


def test_killed_again_and_again_it_is_an_error_in_one_line(device, folder, monkeypatch):
    monkeypatch.setattr(reconnect, "DELAYS", (0.0, 0.0))

    def kill(share: float) -> None:
        for pid in runners(folder) if share else ():
            with contextlib.suppress(ProcessLookupError):  # the one before is ending still
                os.kill(pid, signal.SIGKILL)

    with pytest.raises(ConnectionLostError, match=r"runner on board was killed") as caught:
        measured(device, progress=kill)
    assert "\n" not in str(caught.value)


def test_it_waits_for_another_process_that_measures_there(device):
    said = []
    holder = DeviceLock("exclusive")
    assert holder.try_acquire()

    def release(message: str) -> None:
        said.append(message)
        holder.release()

    probe = DeviceLock("exclusive")
    with device.host.exclusive(release):
        assert not probe.try_acquire()
        probe.release()
    assert "another gnv2-nas on this machine is measuring" in said[0]


def test_it_waits_no_longer_than_there_is_time(device):
    device.fingerprint()
    with DeviceLock.exclusive(), lock_deadline(0.0):
        request = device.host.exclusive(ignore_waiting)
        with pytest.raises(OutOfTimeError, match="another gnv2-nas used board"):
            request.__enter__()


def test_a_damaged_file_is_refused_and_the_runner_goes_on(device, folder):
    good = device.runtime.write(tiny_ghost())
    bench = device.host.open_bench([{".onnx": b"no model"}, good])
    with pytest.raises(MeasurementError, match=r"ONNX Runtime refused the file.*on device board"):
        bench.load(0)
    assert device.check(tiny_ghost(), bench.load(1)) < 1e-3


def test_without_a_runner_it_says_how_to_set_the_device_up(tmp_path):
    device = remote_device(LocalTransport("board", tmp_path / "empty"))
    with pytest.raises(DeviceError, match=r"not on board: set the device up with gnv2-nas devices"):
        device.fingerprint()


MEASURING = """
import sys
import time
from pathlib import Path
from gnv2_nas.devices.transports.local import LocalTransport
from gnv2_nas.measurement import measure
from tests.devices.remote import remote_device
from tests.measurement.networks import tiny_ghost
device = remote_device(LocalTransport("board", Path(sys.argv[1])))
measure([tiny_ghost()], device, seconds_per_network=60, precision=1e-9,
        progress=lambda share: print(share, flush=True))
"""


def test_nothing_runs_on_the_device_after_this_process_was_killed(folder):
    command = [sys.executable, "-c", MEASURING, str(folder)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as process:
        while float(process.stdout.readline()) == 0:
            pass
        running = runners(folder)
        assert running
        process.kill()
    until(lambda: all_gone(running))


def test_the_runner_keeps_to_the_cores_and_the_pace_of_the_profile(folder):
    core = max(os.sched_getaffinity(0))
    profile = msgspec.structs.replace(PROFILE, cores=(core,), pace=250.0)
    device = remote_device(LocalTransport("board", folder), profile)
    bench = device.host.open_bench([device.runtime.write(tiny_ghost())])
    began = time.monotonic()
    bench.run_session(order(*[[0]] * 5), lambda _: None)
    assert time.monotonic() - began >= (2 * 5 - 1) / profile.pace
    (found,) = measure([tiny_ghost()], device, precision=1, seconds_per_network=0.1)
    assert found.conditions.before.cores == str(core)
    assert found.pace == 250
    device.host.close()


def test_cores_that_the_device_lacks_are_named(folder):
    profile = msgspec.structs.replace(PROFILE, cores=(8000,))
    device = remote_device(LocalTransport("board", folder), profile)
    with pytest.raises(DeviceError, match="board failed: cores 8000 cannot be used: this process"):
        device.fingerprint()


def test_one_batch_is_written_ahead_and_no_more(device, monkeypatch):
    monkeypatch.setattr(protocol, "NETWORKS_AT_ONCE", 1)
    written, most = [], []
    write = Batch.write

    def counted(batch, waiting):
        written.append(batch)
        write(batch, waiting)

    monkeypatch.setattr(Batch, "write", counted)
    networks = [tiny_ghost().replace(head_channels=8 + number) for number in range(5)]
    found = measure(
        networks, device, precision=1, seconds_per_network=0.01,
        progress=lambda share: most.append(len(written) - int(5 * share + 1e-9)),
    )  # fmt: skip
    assert [each.architecture for each in found] == [arch.id for arch in networks]
    assert max(most) <= 2
