"""The virtual environment of a device: what is installed, by whom, and after an interruption."""

from __future__ import annotations

import ensurepip
from dataclasses import dataclass
from pathlib import Path

import pytest
from msgspec.structs import replace

from gnv2_nas.devices.provision import engines, environment
from gnv2_nas.devices.provision.environment import COMPLETE, ensure_environment
from gnv2_nas.devices.provision.probe import Probe, probe
from gnv2_nas.devices.transports.local import LocalTransport
from gnv2_nas.errors import DeviceError, DeviceFullError, InputError
from gnv2_nas.runner.sessions import ENGINES
from tests.devices.provision.answers import JETSON_NANO, read
from tests.devices.provision.wheels import write_wheel


@dataclass
class Board:
    """A device whose package index has a tiny engine, or nothing."""

    transport: LocalTransport
    probe: Probe
    folder: Path
    wheels: Path
    told: list[str]

    def ensure(self, **facts: object) -> str:
        found = replace(self.probe, **facts) if facts else self.probe
        return ensure_environment("tiny", found, self.transport, self.told.append)


@pytest.fixture(scope="module")
def facts(tmp_path_factory) -> Probe:
    return probe(LocalTransport("board", tmp_path_factory.mktemp("probed")))


@pytest.fixture
def board(tmp_path, monkeypatch, facts) -> Board:
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    for version in ("1.0", "2.0"):
        write_wheel(wheels, "tiny-engine", version, {"tiny_engine.py": ""})
    write_wheel(wheels, "numpy", "1.23", {"numpy.py": ""})
    machines = {facts.machine: (2, 17)}
    monkeypatch.setattr(engines, "WHEELS", {"tiny": engines.Wheel("tiny_engine", "1.0", machines)})
    monkeypatch.setattr(environment, "WHEELS", engines.WHEELS)
    monkeypatch.setitem(ENGINES, "tiny", ("tiny_session", "tiny-engine"))
    for name, value in {"CONFIG_FILE": "/dev/null", "NO_INDEX": "1", "FIND_LINKS": wheels}.items():
        monkeypatch.setenv(f"PIP_{name}", str(value))
    folder = tmp_path / "device"
    return Board(LocalTransport("board", folder), facts, folder, wheels, [])


def test_one_engine_and_numpy_are_installed_once(board):
    """What an interrupted installation left is removed."""
    left = board.folder / "venv-tiny" / "lib" / "half-a-wheel"
    left.mkdir(parents=True)
    assert board.ensure() == "2.0"
    packages = board.folder / "venv-tiny" / "lib"
    names = {each.stem for each in packages.glob("*/site-packages/*") if each.suffix == ".py"}
    assert names == {"tiny_engine", "numpy"}
    assert not left.exists()
    assert board.told[-1] == "installing tiny-engine and numpy"
    board.told.clear()
    assert board.ensure() == "2.0"
    assert board.told == []


def test_the_engine_on_the_device_is_not_newer_than_here(board, monkeypatch):
    monkeypatch.setattr(environment, "engine_version", lambda _: "1.5")
    assert board.ensure() == "1.0"


def test_a_newer_engine_is_better_than_none(board, monkeypatch):
    (board.wheels / "tiny_engine-1.0-py3-none-any.whl").unlink()
    monkeypatch.setattr(environment, "engine_version", lambda _: "1.5")
    assert board.ensure() == "2.0"


@pytest.mark.parametrize(
    "pip", [pytest.param((23, 0), marks=pytest.mark.slow), ()], ids=["own pip", "no pip"]
)
def test_a_device_without_an_index_gets_the_wheels_from_here(board, monkeypatch, pip):
    """Without pip, which Debian's Python lacks, it gets that as well."""
    (python,) = board.probe.pythons[:1]
    bundled = Path(ensurepip.__file__).parent / "_bundled"
    monkeypatch.setenv("PIP_FIND_LINKS", f"{board.wheels} {bundled}")
    pushed = _keep_pushed(board.transport, monkeypatch)
    _offline(board.transport, monkeypatch)
    assert board.ensure(pythons=(replace(python, pip=pip, ensurepip=False),)) == "2.0"
    assert {name.partition("-")[0] for name in pushed} >= {"tiny_engine", "numpy"}
    assert not (board.folder / "wheels").exists()


@pytest.mark.slow
def test_an_engine_without_wheels_is_refused(board, monkeypatch):
    for wheel in board.wheels.glob("tiny*"):
        wheel.unlink()
    with pytest.raises(DeviceError, match="no wheels of tiny-engine for Python 3"):
        board.ensure()
    assert COMPLETE not in board.transport.sizes("venv-tiny")


@pytest.mark.slow
def test_an_engine_that_cannot_be_imported_is_installed_again(board):
    write_wheel(board.wheels, "tiny-engine", "3.0", {"tiny_engine.py": "raise OSError('libgomp')"})
    with pytest.raises(DeviceError, match=r"cannot import tiny_engine: .*OSError: libgomp"):
        board.ensure()
    write_wheel(board.wheels, "tiny-engine", "3.0", {"tiny_engine.py": ""})
    assert board.ensure() == "3.0"


def test_a_full_disk_is_noticed_before_it_is_filled(board):
    with pytest.raises(DeviceFullError, match="150 MB free and about 200 MB are needed"):
        board.ensure(free_mb=150)
    assert not (board.folder / "venv-tiny").exists()


def test_a_device_that_cannot_have_the_engine_is_told_what_it_can_have(tmp_path):
    transport = LocalTransport("nano", tmp_path)
    with pytest.raises(InputError, match=r"its Python 3\.6\.9 is too old; .*; use --runner native"):
        ensure_environment("onnxruntime", read(**JETSON_NANO), transport, print)


def _offline(transport: LocalTransport, monkeypatch: pytest.MonkeyPatch) -> None:
    """Take the package index from the device: its pip finds only what it is given as files."""
    run = transport.run

    def run_offline(command, **how):
        return run(["env", "-u", "PIP_FIND_LINKS", *command], **how)

    monkeypatch.setattr(transport, "run", run_offline)


def _keep_pushed(transport: LocalTransport, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    names: list[str] = []
    push = transport.push

    def push_and_keep(files):
        names.extend(path.rpartition("/")[2] for path in files)
        push(files)

    monkeypatch.setattr(transport, "push", push_and_keep)
    return names
