"""How many cores a process may use, and what is said when a device asks for more."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from gnv2_nas import cores
from gnv2_nas.cli.devices import list_devices
from gnv2_nas.devices import DeviceProfile
from gnv2_nas.errors import InputError
from gnv2_nas.measurement import stability
from gnv2_nas.workflows.devices import describe_shortage
from tests.waiting import until

MACHINE = 16


@pytest.fixture
def cgroups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine of 16 cores whose cgroups are in a folder; `own` says where the process is."""
    monkeypatch.setattr(cores, "CGROUPS", tmp_path)
    monkeypatch.setattr(cores, "OWN_CGROUPS", tmp_path / "own")
    monkeypatch.setattr(os, "cpu_count", lambda: MACHINE)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(MACHINE)), raising=False)
    return tmp_path


def write(folder: Path, **files: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name.replace("__", ".")).write_text(f"{content}\n")


def test_the_smallest_memory_limit_counts_of_either_version(cgroups):
    assert cores.memory_limit() is None
    write(cgroups, own="4:memory:/pod\n0::/pod", memory__max="max")
    assert cores.memory_limit() is None
    write(cgroups / "memory", memory__limit_in_bytes="9223372036854771712")
    write(cgroups / "memory/pod", memory__limit_in_bytes="3000")
    write(cgroups / "pod", memory__max="2000")
    assert cores.memory_limit() == 2000


def test_without_a_quota_the_affinity_counts(cgroups, monkeypatch):
    assert cores.cpu_quota() is None
    assert cores.usable_cores() == MACHINE
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 5})
    assert cores.usable_cores() == 2
    monkeypatch.delattr(os, "sched_getaffinity")
    assert cores.usable_cores() == MACHINE


@pytest.mark.parametrize(
    ("limit", "quota", "usable"),
    [
        ("max 100000", None, MACHINE), ("200000 100000", 2.0, 2), ("150000 100000", 1.5, 1),
        ("50000 100000", 0.5, 1), ("9900000 100000", 99.0, MACHINE), ("", None, MACHINE),
        ("nonsense", None, MACHINE), ("0 100000", None, MACHINE), ("5 0", None, MACHINE),
    ],
)  # fmt: skip
def test_a_quota_of_version_2(cgroups, limit, quota, usable):
    write(cgroups, own="0::/", cpu__max=limit)
    assert cores.cpu_quota() == quota
    assert cores.usable_cores() == usable


def test_the_tightest_quota_above_the_process_counts(cgroups):
    write(cgroups, own="0::/pod/box")
    write(cgroups / "pod" / "box", cpu__max="400000 100000")
    write(cgroups / "pod", cpu__max="300000 100000")
    assert cores.usable_cores() == 3
    # As a container sees it: the folder of the host is not there.
    write(cgroups, own="0::/kubepods/123", cpu__max="200000 100000")
    assert cores.usable_cores() == 2


@pytest.mark.parametrize("controllers", ["cpu,cpuacct", "cpu"])
def test_a_quota_of_version_1(cgroups, controllers):
    write(cgroups, own=f"9:memory:/x\n4:{controllers}:/docker/1\n3:cpuset:/y\n0::/")
    folder = cgroups / controllers / "docker" / "1"
    write(folder, cpu__cfs_quota_us="-1", cpu__cfs_period_us="100000")
    assert cores.cpu_quota() is None
    write(cgroups / controllers, cpu__cfs_quota_us="250000", cpu__cfs_period_us="100000")
    assert cores.cpu_quota() == 2.5
    assert cores.usable_cores() == 2
    write(cgroups / "memory" / "x", cpu__cfs_quota_us="1", cpu__cfs_period_us="100000")
    assert cores.cpu_quota() == 2.5


def test_too_many_threads_are_named_with_the_reason(cgroups, monkeypatch):
    assert cores.shortage(MACHINE) == ""
    assert cores.shortage(20) == "20 threads on 16 cores, all that this machine has"
    write(cgroups, own="0::/", cpu__max="50000 100000")
    assert cores.shortage(1) == "1 thread on 0.5 cores, the CPU quota of this container"
    write(cgroups, cpu__max="400000 100000")
    assert cores.shortage(4) == ""
    assert cores.shortage(8) == "8 threads on 4 cores, the CPU quota of this container"
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3})
    assert cores.shortage(2) == "2 threads on 1 core, the affinity of this process (taskset)"


def test_threads_of_an_accelerator_are_not_cores(cgroups, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3})
    assert DeviceProfile("x", threads=8).shortage()
    assert DeviceProfile("x", runtime="torch", processor="cuda", threads=8).shortage() == ""


def test_too_few_cores_are_not_called_throttling(cgroups):
    write(cgroups, own="0::/", cpu__max="200000 100000")
    device = SimpleNamespace(profile=DeviceProfile("x", threads=8), clock="wall", calibration=None)
    timings = SimpleNamespace(wall=np.ones((1, 4)), busy=np.ones((1, 4)))
    cause = stability.find_cause(timings, SimpleNamespace(), 0, device)
    assert cause.startswith("8 threads on 2 cores, the CPU quota of this container")


def test_it_is_said_when_measuring_and_in_the_list(cgroups, monkeypatch, capsys):
    monkeypatch.chdir(cgroups)
    write(cgroups, own="0::/", cpu__max="200000 100000")
    write(cgroups / "profiles", eight__yaml="description: x\nthreads: 8\n")
    list_devices()
    said = capsys.readouterr().err
    line = "device eight: 8 threads on 2 cores, the CPU quota of this container; "
    assert [each[: len(line)] for each in said.splitlines()] == [line]
    assert describe_shortage("eight", DeviceProfile("x", threads=8)) == said.strip()
    assert describe_shortage("two", DeviceProfile("x", threads=2)) == ""


def test_torch_computes_with_no_more_threads_than_that(cgroups, monkeypatch):
    from gnv2_nas.training import context as threads

    asked, now = [], 16
    fake = SimpleNamespace(get_num_threads=lambda: now, set_num_threads=asked.append)
    monkeypatch.setattr(threads, "torch", fake)
    monkeypatch.setattr("gnv2_nas.nn.interpreter.torch", fake)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    write(cgroups, own="0::/", cpu__max="600000 100000")
    with threads.use_half_the_cores(), threads.limit_threads():
        assert asked == [3, 6]
    monkeypatch.setenv("OMP_NUM_THREADS", "16")
    asked.clear()
    with threads.use_half_the_cores(), threads.limit_threads():
        assert asked == []


def test_nobody_else_asks_the_machine_how_many_cores_it_has():
    package = Path(cores.__file__).parent
    for file in package.rglob("*.py"):
        if file.name != "cores.py":
            assert "cpu_count" not in file.read_text(), file
            assert "sched_getaffinity" not in file.read_text(), file


def test_lists_of_cores_are_written_as_the_kernel_does():
    for text, found in {"0-3,6": {0, 1, 2, 3, 6}, "7": {7}, "": set(), "0 1 2": {0, 1, 2}}.items():
        assert cores.parse_cores(text) == found
        assert cores.parse_cores(cores.format_cores(found)) == found
    assert cores.format_cores([6, 2, 1, 0, 2]) == "0-2,6"
    assert cores.parse_cores(f"0-99999999999,x,-3,4-,{'9' * 5000}") == {4}


def test_all_threads_are_pinned_and_get_their_cores_back():
    allowed = os.sched_getaffinity(0)
    one = {max(allowed)}
    end, inherited = threading.Event(), []
    earlier = threading.Thread(target=end.wait)
    later = threading.Thread(target=lambda: (inherited.append(os.sched_getaffinity(0)), end.wait()))
    earlier.start()
    try:
        with cores.pinned(one):
            later.start()
            until(lambda: inherited)
            assert [os.sched_getaffinity(each.native_id) for each in (earlier, later)] == [one, one]
        assert os.sched_getaffinity(0) == allowed
        assert os.sched_getaffinity(earlier.native_id) == allowed
        assert os.sched_getaffinity(later.native_id) == allowed
    finally:
        end.set()
    assert inherited == [one]


def test_cores_that_are_not_there_are_refused_and_nothing_is_pinned(cgroups, monkeypatch):
    with pytest.raises(
        InputError, match="cores 16-17 cannot be used: this process may run on 0-15"
    ):
        cores.check_cores([3, 17, 16])
    with pytest.raises(InputError, match="this process may run on"), cores.pinned([5000]):
        pass
    assert cores.shortage(4, [4, 5]) == "4 threads on 2 cores, all that its profile allows"
    assert cores.shortage(2, [4, 5]) == cores.shortage(99, here=False) == ""
    monkeypatch.delattr(os, "sched_setaffinity")
    with pytest.raises(InputError, match="cores 1 cannot be used: this system cannot pin"):
        cores.check_cores([1])
