"""Searches whose networks are measured over ssh and over adb, from the request to the report."""

from __future__ import annotations

import getpass
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from msgspec.structs import replace

from gnv2_nas.measurement import reconnect
from gnv2_nas.measurement.records.store import read_measurements
from gnv2_nas.search import loop
from gnv2_nas.search.analysis.pareto import joint_front
from gnv2_nas.search.storage.studies import open_study
from gnv2_nas.workflows.events import Message
from gnv2_nas.workflows.search.request import SearchRequest
from gnv2_nas.workflows.search.run import run_search
from tests.devices.remote import set_up
from tests.measurement.brief import shorten
from tests.search.spaces import SMALL, write_space
from tests.waiting import all_gone, until

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _short(monkeypatch):
    shorten(monkeypatch)
    monkeypatch.setattr(loop, "list_missing_stock", lambda *_: {})


@pytest.fixture
def here(tmp_path, monkeypatch):
    """The working directory of the user, with a space."""
    monkeypatch.chdir(tmp_path)
    write_space(tmp_path, SMALL)
    (tmp_path / "profiles").mkdir()
    return tmp_path


@pytest.fixture
def board(here, ssh_client):
    """The name of a device over ssh that was set up, and its server."""
    folder = ssh_client.home / ".cache/gnv2-nas/board"
    if not folder.exists():
        set_up(folder)
    (here / "profiles/board.yaml").write_text("description: x\ntransport: ssh\nhost: board\n")
    return ssh_client


def request(*devices, trials):
    return SearchRequest(
        space="small.yaml", quality="params", study="demo", trials=trials, devices=devices,
        ablations=0, storage="sqlite:///studies.db",
    )  # fmt: skip


def trials_of(folder):
    return open_study(f"sqlite:///{folder}/studies.db", "demo").trials()


def test_over_ssh_it_goes_on_when_the_connection_was_cut(board, here, monkeypatch):
    monkeypatch.setattr(reconnect, "DELAYS", (0.0, 0.0))
    said, cut = [], []

    def observe(event):
        said.append(event.line() if not isinstance(event, Message) else event.text)
        if "scoring" in said[-1] and trials_of(here) and not cut:
            cut.append(board.connections())
            board.cut()

    result = run_search(request("board", trials=10).check(), observe)
    assert result.ended == "all trials are done"
    assert cut
    assert any("trying again" in line for line in said)
    searched = [trial for trial in trials_of(here) if trial.searched]
    assert len(searched) == 10
    assert all(trial.latency.device == "board" for trial in searched)
    kept = {each.architecture for each in read_measurements("board")}
    assert {trial.architecture.id for trial in searched} <= kept
    assert "board" in result.report.html.read_text()
    assert not board.connections()


def test_two_devices_of_which_one_dies_midway_and_has_what_it_lacks_the_next_time(
    board, here, monkeypatch
):
    monkeypatch.setattr(reconnect, "DELAYS", (0.0, 0.0))
    (here / "profiles/other.yaml").write_text(
        f"description: y\ntransport: ssh\nhost: {getpass.getuser()}@board\n"
    )
    folder = board.home / ".cache/gnv2-nas/other"
    set_up(folder)
    (python,) = folder.glob("*/bin/python")
    gone, said = python.with_name("gone"), []

    def observe(event):
        said.append(event.text if isinstance(event, Message) else event.line())
        if "scoring" in said[-1] and trials_of(here) and python.exists():
            python.rename(gone)
            board.cut()

    monkeypatch.setattr(loop, "BATCH", 4)
    asked = replace(request("board", "other", trials=9), reports=None)
    result = run_search(asked.check(), observe)
    assert result.ended == "all trials are done"
    assert any(line.startswith("device other is set aside: ") for line in said)
    assert any("without other" in line for line in said)
    assert "which the same command takes later" in said[-1]
    trials = trials_of(here)
    assert all(trial.latencies["board"] for trial in trials)
    lacking = {each.architecture.id for each in trials if each.latencies["other"] is None}
    assert 0 < len(lacking) < len(trials) == 9
    assert result.record.on("board").settings.objectives == ("quality", "latency")

    gone.rename(python)
    before = {name: len(read_measurements(name)) for name in ("board", "other")}
    again = run_search(asked.check())
    assert len(again.record.trials) == 9
    assert all(trial.measured_on.keys() == {"board", "other"} for trial in trials_of(here))
    front = {each.number for each in joint_front(again.record.trials, again.record.settings)}
    later = {name: read_measurements(name)[before[name] :] for name in before}
    measured = {name: {each.architecture for each in later[name]} for name in later}
    assert measured["other"] >= lacking
    # The front is confirmed besides. A network that was confirmed may have left the front thereby,
    # and a device confirms the fronts that it has a part in.
    for name, behind in (("other", lacking), ("board", set())):
        confirmed = front | again.record.confirmed_on[name]
        members = {each.architecture.id for each in again.record.trials if each.number in confirmed}
        assert measured[name] <= members | behind


SEARCH = """
from tests.devices import test_searching_remotely as this
patch = this.pytest.MonkeyPatch()
this.shorten(patch)
patch.setattr(this.loop, "list_missing_stock", lambda *_: {})
this.run_search(this.request("board", trials=100).check())
"""


@pytest.mark.parametrize(
    "signum", [signal.SIGKILL, pytest.param(signal.SIGINT, marks=pytest.mark.slow)]
)
def test_whatever_ends_the_search_nothing_runs_on_the_device(board, here, signum):
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    with subprocess.Popen([sys.executable, "-c", SEARCH], env=environment) as search:
        until(lambda: read_measurements("board"))
        remote = board.connections()
        assert remote
        search.send_signal(signum)
        search.wait()
    until(lambda: all_gone(remote))
    until(lambda: not runners_in(board.home))
    kept = {each.architecture for each in read_measurements("board")}
    assert all(trial.architecture.id in kept for trial in trials_of(here) if trial.latency)


def runners_in(folder: Path) -> list[Path]:
    """Processes that work in a folder of the device."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if (entry / "cwd").readlink().is_relative_to(folder):
                found.append(entry)
        except OSError:
            continue
    return found


def test_over_adb(phone, here):
    set_up(phone.folder / "gnv2-nas/phone")
    (here / "profiles/phone.yaml").write_text(
        f"description: x\ntransport: adb\nserial: {phone.serial}\n"
    )
    result = run_search(request("phone", trials=10).check())
    assert result.ended == "all trials are done"
    searched = [trial for trial in trials_of(here) if trial.searched]
    assert len(searched) == 10
    for trial in searched:
        assert trial.latency.device == "phone"
        assert trial.latency.parity < 1e-3
    assert not runners_in(phone.folder)
