"""Device profiles: files that say what `--device NAME` means."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from msgspec.structs import replace

from gnv2_nas.devices import DeviceProfile, list_devices, read_profile
from gnv2_nas.devices.condition_files import read_conditions
from gnv2_nas.errors import ProfileError, UnknownNameError
from gnv2_nas.graph.passes.form import FileForm
from gnv2_nas.measurement import open_device
from gnv2_nas.runner.rounds import SessionOrder
from tests.measurement.networks import tiny_ghost


@pytest.fixture(autouse=True)
def _empty_working_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def write_profile(text: str, name: str = "board") -> Path:
    path = Path("profiles") / f"{name}.yaml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    return path


def test_the_built_in_device_is_this_machine_on_one_thread():
    assert "cpu" in list_devices()
    profile = read_profile("cpu")
    assert (profile.transport, profile.runtime, profile.threads, profile.precision) == (
        "local", "onnxruntime", 1, "fp32",
    )  # fmt: skip


def test_only_the_description_must_be_given():
    write_profile("description: mine\n")
    assert read_profile("board") == DeviceProfile("mine")
    assert {"board", "cpu"} <= set(list_devices())


def test_a_file_of_the_working_directory_wins():
    write_profile("description: mine\nthreads: 2\n", "cpu")
    assert read_profile("cpu") == DeviceProfile("mine", threads=2)
    assert read_profile("cpu").threads == 2


def test_ssh_needs_a_host():
    write_profile("description: mine\ntransport: ssh\n")
    with pytest.raises(ProfileError, match=r"board\.yaml:2: key 'transport': ssh needs the key"):
        read_profile("board")


def test_only_the_decided_options_of_a_form_count():
    """Studies begun before there were forms keep the hash of their device."""
    plain = DeviceProfile("mine", threads=2)
    assert plain.content_hash == "1c9b27763af2"
    assert replace(plain, form=FileForm()).content_hash == plain.content_hash
    hashes = {replace(plain, form=FileForm(n)).content_hash for n in (None, 1, 8)}
    assert len(hashes) == 3


def test_a_device_writes_files_of_its_form():
    write_profile("description: mine\nform:\n  channel_multiple: 4\n")
    board, cpu, arch = open_device("board"), open_device("cpu"), tiny_ghost()
    files = board.runtime.write(arch)
    assert files != cpu.runtime.write(arch)
    assert files == cpu.runtime.with_form(FileForm(channel_multiple=4)).write(arch)


@pytest.mark.parametrize("name", ["board", "profiles/board.yaml"])
def test_an_open_device_runs_a_network(name):
    write_profile("description: mine\nthreads: 2\n")
    device = open_device(name)
    assert device.name == "board"
    assert device.profile.threads == 2
    arch = tiny_ghost()
    logits = device.host.open_bench([device.runtime.write(arch)]).load(0)
    assert logits.shape == (1, 5)
    assert device.check(arch, logits) < 1e-3


def test_the_threads_of_the_engine_run_on_the_cores_of_the_profile():
    own = os.sched_getaffinity(0)
    core = max(own)
    write_profile(f"description: mine\nthreads: 2\ncores: [{core}]\n")
    device = open_device("board")
    bench = device.host.open_bench([device.runtime.write(tiny_ghost())])
    bench.load(0)
    seen = {}

    def look(_):
        tasks = [int(each.name) for each in Path("/proc/self/task").iterdir()]
        seen.update({task: os.sched_getaffinity(task) for task in tasks})

    before = len(list(Path("/proc/self/task").iterdir()))
    bench.run_session(SessionOrder([0], [[0]], 10.0), look)
    assert len(seen) >= before
    assert set(map(frozenset, seen.values())) == {frozenset({core})}
    assert os.sched_getaffinity(0) == own
    assert read_conditions(bench.read_files(thorough=True)).cores == str(core)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("description: x\npace: 0\n", r":2: key 'pace': expected float >= 1.0, but got 0"),
        ("description: x\npace: fast\n", r":2: key 'pace': expected a number.*got 'fast'"),
        ("description: x\ncores: [-1]\n", r":2: key 'cores\[0\]': .*>= 0.*got -1"),
        ("description: x\nruntime: tflite\n",
         r":2: key 'runtime': expected one of executorch.* but got 'tflite'|"
         r":2: key 'runtime': expected one of onnxruntime, but got 'tflite'"),
        ("description: x\nthreads: 0\n", r":2: key 'threads': .*>= 1.*but got 0"),
        ("description: x\nthreads: 999\n", r":2: key 'threads': .*<= 256.*but got 999"),
        ("description: x\nthreads: two\n", r":2: key 'threads': .*whole number.*got 'two'"),
        ("description: x\nthreads: 1.5\n", r":2: key 'threads': .*whole number.*got 1.5"),
        ("description: x\nthreads: true\n", r":2: key 'threads': .*whole number.*got true"),
        ("description: x\n\nthread: 1\n",
         r":3: key 'thread': unknown key; did you mean 'threads'"),
        ("threads: 1\n", r":1: the key 'description' is missing"),
        ("description: x\ntransport: carrier pigeon\n", r":2: key 'transport': .*local"),
        ("description: x\nprecision: fp8\n", r":2: key 'precision': .*fp32"),
        ("description: x\nform: {channel_multiple: 0}\n",
         r":2: key 'form.channel_multiple': .*>= 1.*but got 0"),
        ("description: x\nform:\n  fuse: 3\n",
         r":3: key 'form.fuse': unknown key; .*fuse_up_to"),
        ("description: x\ndescription: y\n", r":2: .*'description'"),
        ("description: [x\n", r"board.yaml:\d"),
        ("- description\n", r"board.yaml:1"),
        ("", r"board.yaml"),
        ("description: !!python/object/apply:os.system [ls]\n", r"board.yaml:1"),
    ],
)  # fmt: skip
def test_a_wrong_file_is_answered_with_file_line_and_key(text, problem):
    path = write_profile(text)
    with pytest.raises(ProfileError, match=problem) as caught:
        read_profile("board")
    assert str(caught.value).startswith(f"{path}:")
    assert "\n" not in str(caught.value)


def test_an_unknown_device_is_answered_with_the_known_ones():
    with pytest.raises(UnknownNameError, match="unknown device 'cup'; did you mean 'cpu'"):
        read_profile("cup")
