"""Setting a device up over ssh, checking it, and removing it."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from gnv2_nas.devices.profile import BenchmarkProgram, DeviceProfile, read_profile
from gnv2_nas.devices.transports.local import LocalTransport
from gnv2_nas.errors import DeviceError, InputError
from gnv2_nas.measurement import plan
from gnv2_nas.measurement.plan import MeasurementOptions
from gnv2_nas.measurement.records.record import Comparison
from gnv2_nas.workflows.device_setup import add
from gnv2_nas.workflows.device_setup.add import AddDeviceRequest, parse_cores, run_add_device
from gnv2_nas.workflows.device_setup.check import run_check_device, run_remove_device
from gnv2_nas.workflows.device_setup.install import install
from gnv2_nas.workflows.device_setup.state import (
    DeviceState,
    NetworkState,
    last_measured,
    list_changes,
)
from gnv2_nas.workflows.events import Message
from tests.devices.provision.answers import ALPINE, PHONE, read
from tests.devices.provision.wheels import repack


@pytest.fixture(autouse=True)
def _quick(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(plan, "COMPARING", MeasurementOptions(1.0, 0.2, 2))


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if not path.is_dir()]


def ask(*arguments: str, **options: object):
    return AddDeviceRequest(*arguments, **options).check()


@pytest.mark.slow
def test_a_device_over_ssh_from_nothing_to_nothing(ssh_client, tmp_path, monkeypatch):
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    for name in ("onnxruntime", "numpy"):
        repack(wheels, name)
    _give_python_and_index(ssh_client.home, wheels)
    told: list[str] = []

    def tell(event):
        told.extend([event.text] if isinstance(event, Message) else [])

    setup = run_add_device(ask("board", "ssh://board"), tell)
    assert read_profile("board") == setup.profile
    assert (setup.profile.transport, setup.profile.host) == ("ssh", "board")
    assert all(each.parity < 1e-3 for each in setup.state.networks.values())
    assert 0 < setup.state.noise_floor < 1
    assert told[0].startswith("board: ")
    assert last_measured("board")

    told.clear()
    checked = run_check_device("board", tell)
    assert checked.before == setup.state
    assert told == []
    assert set(checked.changes) <= set(setup.state.networks)

    with pytest.raises(InputError, match="there is a device 'board' already"):
        ask("board", "ssh://board")
    run_remove_device("board", clean=True)
    assert files(ssh_client.home / ".cache") == []
    assert not (ssh_client.home / ".cache/gnv2-nas").exists()
    assert files(Path("profiles")) == []


def test_a_device_that_cannot_be_set_up_keeps_nothing(ssh_client):
    with pytest.raises(InputError, match="bare has no core 4096; it has "):
        run_add_device(ask("bare", "ssh://board", cores="4096"))
    assert not (ssh_client.home / ".cache/gnv2-nas/bare").exists()
    assert not files(Path("profiles"))
    with pytest.raises(DeviceError, match="ssh unknown: its host key is unknown"):
        run_add_device(ask("board", "ssh://unknown"))


def test_a_device_that_cannot_be_reached_is_not_removed():
    path = Path("profiles/board.yaml")
    path.parent.mkdir()
    path.write_text("description: x\ntransport: ssh\nhost: nobody@127.0.0.1:1\n")
    with pytest.raises(DeviceError):
        run_remove_device("board", clean=True)
    assert path.exists()
    run_remove_device("board")
    assert not path.exists()


@pytest.mark.parametrize(
    "what",
    [{"benchmark": BenchmarkProgram("trtexec", "trtexec")}, {"runtime": "executorch"}],
    ids=["program", "environment"],
)
def test_nothing_is_installed_where_the_user_brings_his_own(tmp_path, what):
    profile = DeviceProfile("x", "ssh", "pi", **what)
    install(profile, read(python=""), LocalTransport("board", tmp_path / "device"), print)
    assert not (tmp_path / "device").exists()


def choose(found, **options: object):
    """Return the profile of a device, and what was said about it."""
    told: list[str] = []
    url = options.pop("url", "ssh://pi@board")
    profile = add._make_profile(
        ask("board", url, **options), found, lambda event: told.append(event.text)
    )
    return profile, " ".join(told)


def test_a_board_with_python_runs_onnx_runtime_on_any_of_its_equal_cores():
    profile, told = choose(read())
    assert (profile.runner, profile.runtime, profile.cores) == ("python", "onnxruntime", ())
    assert profile.description.startswith("Raspberry Pi 5 Model B Rev 1.0, 4 × Cortex-A76")
    assert told == ""


@pytest.mark.parametrize(
    ("facts", "why"), [(PHONE, "it has no Python"), (ALPINE, "musl 1.2.5")], ids=["phone", "alpine"]
)
def test_a_device_that_cannot_have_the_engine_gets_the_native_runner(facts, why):
    profile, told = choose(read(**facts))
    assert (profile.runner, profile.runtime) == ("native", "ncnn")
    assert why in told


def test_a_phone_measures_on_its_fastest_cores():
    profile, told = choose(read(**PHONE), url="adb://1234")
    assert (profile.transport, profile.serial, profile.runner) == ("adb", "1234", "native")
    assert profile.cores == (8,)
    assert "1 × Cortex-X3 at 2.91 GHz are the fastest" in told
    profile, told = choose(read(**PHONE), url="adb://1234", cores="4-7", threads=4)
    assert (profile.cores, profile.threads, told) == ((4, 5, 6, 7), 4, "")


def test_the_native_runner_is_for_three_architectures():
    with pytest.raises(InputError, match="board runs programs for riscv64; no runtime works there"):
        choose(read(machine="riscv64", glibc=""), runner="native")


@pytest.mark.parametrize(("text", "numbers"), [("", ()), ("4,5", (4, 5)), ("0-2, 6", (0, 1, 2, 6))])
def test_cores_are_read(text, numbers):
    assert parse_cores(text) == numbers


@pytest.mark.parametrize("text", ["fast", "-1", "1-", "4;5", "1.5", "0-9999999999"])
def test_other_texts_are_no_cores(text):
    with pytest.raises(InputError, match="--cores takes core numbers"):
        parse_cores(text)


def state(ms: float, engine: str = "onnxruntime 1.31.1", **facts: object) -> DeviceState:
    networks = {"ghostnetv2-1.0": NetworkState(ms, (ms * 0.99, ms * 1.01), 1e-7)}
    same = Comparison(1.0, (0.99, 1.01), 0.01, "SAME")
    return DeviceState(read(**facts), engine, networks, same, "2026-11-26T12:00:00+00:00")


def test_what_changed_between_two_checks_is_said():
    assert list_changes(state(10.0), state(10.4)) == {}
    assert list_changes(state(10.0), state(12.0, "onnxruntime 1.32.0", glibc="glibc 2.41")) == {
        "C library": ("glibc 2.36", "glibc 2.41"),
        "engine": ("onnxruntime 1.31.1", "onnxruntime 1.32.0"),
        "ghostnetv2-1.0": ("10.00 ms", "12.00 ms"),
    }


def _give_python_and_index(home: Path, wheels: Path) -> None:
    """Let the device have the Python of the tests, and a package index that is a folder."""
    (home / ".config/pip").mkdir(parents=True)
    (home / ".config/pip/pip.conf").write_text(
        f"[global]\nno-index = true\nfind-links = {wheels}\n"
    )
    programs = home / "programs"
    programs.mkdir()
    (programs / "python3").symlink_to(os.path.realpath(sys.executable))
    (home / ".bashrc").write_text(f"PATH={programs}:$PATH\n")
