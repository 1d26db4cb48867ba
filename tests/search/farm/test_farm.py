"""Devices that a farm serves: a search measures there as it does here, and whatever ends it.

The tests share a cluster of two nodes and a farm of two devices: `board`, over ssh on the loopback
device, and `shelf`, the processor of this machine.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from functools import partial
from json import loads
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from msgspec.structs import replace

from gnv2_nas.cli.farm import status
from gnv2_nas.devices.profile import read_profile
from gnv2_nas.errors import DeviceError, InputError, MeasurementError, OutOfTimeError
from gnv2_nas.formats.foreign.reading import read_foreign
from gnv2_nas.measurement import open_device
from gnv2_nas.measurement.records.store import read_measurements
from gnv2_nas.runner.lock import DeviceLock, ignore_waiting, lock_deadline
from gnv2_nas.search import loop
from gnv2_nas.search.engine.scorer_actor import ScorerActor, make_scoring
from gnv2_nas.search.farm import serving
from gnv2_nas.search.farm.directory import describe, find_actor, list_served
from gnv2_nas.search.farm.farm_lane import FarmLane
from gnv2_nas.search.lane import DeviceLane
from gnv2_nas.search.pace import Deadline
from gnv2_nas.search.storage.studies import open_study
from gnv2_nas.search.study.settings import Settings, StudyDevice
from gnv2_nas.workflows.farm import check_farm
from gnv2_nas.workflows.search.request import SearchRequest
from gnv2_nas.workflows.search.run import run_search
from tests.devices.remote import set_up
from tests.formats.foreign.files import save_conv
from tests.measurement.brief import shorten
from tests.measurement.networks import tiny_ghost, tiny_mobile
from tests.search.engine import scorers
from tests.search.engine.conftest import cluster, ray_folder, ray_package  # noqa: F401
from tests.search.farm.brief import BriefActor
from tests.search.search_helpers import BRIEFLY
from tests.search.spaces import SMALL, write_space
from tests.waiting import PATIENCE, all_gone, until

ROOT = Path(__file__).parents[3]
SETTINGS = Settings(
    "", "", (StudyDevice("board"),), "params", ("quality", "latency", "artifact"), ()
)


@pytest.fixture(scope="module")
def host(tmp_path_factory, ssh_server) -> Iterator[Path]:
    """The working folder of the farm, with an `ssh` that knows the board."""
    folder = tmp_path_factory.mktemp("host")
    (folder / "profiles").mkdir()
    (folder / "profiles/board.yaml").write_text("description: x\ntransport: ssh\nhost: board\n")
    (folder / "profiles/shelf.yaml").write_text("description: this machine\n")
    on_board = ssh_server.home / ".cache/gnv2-nas/board"
    if not on_board.exists():
        set_up(on_board)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", f"{ssh_server.programs}{os.pathsep}{os.environ['PATH']}")
        shorten(patch)
        yield folder


@pytest.fixture(scope="module")
def farm(cluster, host) -> Iterator[SimpleNamespace]:  # noqa: F811
    """A farm in a thread of this process: the sentences that it has said."""
    said: list[str] = []

    def serve(profiles) -> None:
        with suppress(DeviceError):  # in the end no device is served
            serving.serve(profiles, said.append)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(serving, "MeasuringActor", BriefActor)
        patch.chdir(host)
        profiles = {name: read_profile(name) for name in ("board", "shelf")}
        thread = threading.Thread(target=serve, args=(profiles,))
        thread.start()
        until(lambda: len(said) == 2)
    yield SimpleNamespace(said=said, folder=host, address=cluster.address)
    import ray

    for name in profiles:
        ray.kill(find_actor(name))
    thread.join()


@pytest.fixture
def away(tmp_path, monkeypatch) -> Path:
    """The working folder of a search, which has no such device."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def lane_of(name: str, study: str = "demo", **options: Any) -> FarmLane:
    return FarmLane(describe(name), study, SETTINGS, 0, **options)


@pytest.fixture(params=["here", "farm"])
def lane(request, host, monkeypatch, farm) -> Iterator[Any]:
    """The board as both kinds of lanes know it."""
    monkeypatch.chdir(host)
    made = (
        DeviceLane(open_device("board"), SETTINGS, 0)
        if request.param == "here"
        else lane_of("board")
    )
    yield made
    made.close()


class TestLane:
    """What every `Lane` does."""

    def test_it_measures_in_the_order_of_the_networks(self, lane):
        networks = [tiny_ghost(), tiny_mobile(), tiny_ghost()]
        lane.prepare(networks[:1])
        lane.get_ready([], lambda _: None, Deadline())
        before = lane.identify()
        assert before.device == "board"
        assert before.calibration
        found = lane.measure(networks, BRIEFLY)
        assert [each.architecture for each in found] == [each.id for each in networks]
        assert len({each.batch for each in found}) == 1
        for each in found:
            assert (each.device, each.calibration) == ("board", before.calibration)
            assert each.fingerprint.identity(1) == before.fingerprint.identity(1)
            assert each.parity < 1e-3
            assert each.ci95[0] < each.ms < each.ci95[1]
        assert lane.pace.measuring(1) > 0
        assert lane.measure([]) == []
        lane.reach()

    def test_it_evaluates_the_metrics_of_the_study(self, lane):
        small, large = lane.evaluate_metrics([tiny_ghost(), tiny_mobile()])
        assert small.keys() == large.keys() == {"artifact"}

    def test_a_file_of_another_tool_is_measured_and_a_damaged_one_is_refused(self, lane, tmp_path):
        network = read_foreign(str(save_conv(tmp_path / "some.onnx")))
        lane.get_ready([network], lambda _: None, Deadline())
        (found,) = lane.measure([network], BRIEFLY)
        assert found.architecture == network.id
        damaged = replace(network, content={".onnx": b"damaged"})
        with pytest.raises(InputError):
            lane.get_ready([damaged], lambda _: None, Deadline())
        with pytest.raises(MeasurementError):
            lane.measure([damaged], BRIEFLY)

    def test_it_waits_for_others_no_longer_than_it_may(self, lane):
        with board_in_use(), lock_deadline(now := time.monotonic()), pytest.raises(OutOfTimeError):
            lane.measure([tiny_ghost()], BRIEFLY, deadline=Deadline(now))

    def test_a_closed_one_fails_as_a_device(self, lane):
        lane.reach()
        lane.close()
        with pytest.raises(DeviceError):
            lane.measure([tiny_ghost()], BRIEFLY)


@contextmanager
def board_in_use() -> Iterator[None]:
    """Another program uses the board within the block."""
    with closing(open_device("board").host) as host, host.exclusive(ignore_waiting):
        yield


def test_a_search_measures_where_the_device_is(farm, away, monkeypatch):
    monkeypatch.setattr(loop, "list_missing_stock", lambda *_: {})
    write_space(away, SMALL)
    there = farm.folder / "profiles"
    before = len(read_measurements("board", there))
    asked = SearchRequest(
        space="small.yaml", quality="params", study="away", trials=5, devices=("board",),
        objectives="macs,latency", ablations=0, ray="auto", reports=None,
    )  # fmt: skip
    result = run_search(asked.check())
    assert result.ended == "all trials are done"
    searched = [trial for trial in result.record.trials if trial.searched]
    assert len(searched) == 5
    assert all(trial.latency.device == "board" for trial in searched)
    networks = {trial.architecture.id for trial in searched}
    assert networks <= {each.architecture for each in read_measurements("board", there)[before:]}
    assert not read_measurements("board")
    assert any("board: used by away on" in line for line in farm.said)
    assert asked.check().settings == result.record.settings


@pytest.mark.slow  # Ray's client and the command start in 15 s
def test_a_search_outside_the_cluster_measures_on_a_device_of_its_farm(farm, away):
    write_space(away, SMALL)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    there = ("--address", farm.address, "--host", "127.0.0.1", "--port", str(port))
    client = subprocess.Popen([sys.executable, "-m", "ray.util.client.server", *there])
    try:
        until(lambda: can_connect(port))
        subprocess.run(
            command(
                "search", "--space", "small.yaml", "--quality", "params", "--device", "board",
                "--objectives", "macs,latency", "--study", "outside", "--trials", "2",
                "--ablations", "0", "--ray", f"ray://127.0.0.1:{port}",
            ),
            check=True, cwd=away, env=os.environ | {"PYTHONPATH": str(ROOT)},
        )  # fmt: skip
    finally:
        client.kill()
        client.wait()
    trials = open_study(f"sqlite:///{away}/studies.db", "outside").trials()
    assert sum(trial.searched for trial in trials) == 2
    assert all(trial.latencies["board"] for trial in trials)


def can_connect(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port)):
        return True
    return False


def test_two_searches_take_turns(farm, away, monkeypatch):
    lanes = [lane_of("board", study) for study in ("one", "other")]
    monkeypatch.chdir(farm.folder)
    with ThreadPoolExecutor(2) as threads:
        with board_in_use():
            found = []
            for number, lane in enumerate(lanes, start=1):
                found.append(threads.submit(lane.measure, [tiny_ghost()], BRIEFLY))
                until(lambda number=number: len(describe("board").queue) == number)
            queue = describe("board").queue
        (one,), (other,) = (each.result(PATIENCE) for each in found)
    assert [name.partition(" ")[0] for name in queue] == ["one", "other"]
    assert one.batch != other.batch
    assert describe("board").queue == ()
    assert set(queue) <= set(describe("board").searches)


@pytest.mark.slow
def test_a_search_that_gives_up_its_place_is_not_measured_for(farm, away):
    first, second = lane_of("shelf", "first"), lane_of("shelf", "second")
    with ThreadPoolExecutor(2) as threads:
        with DeviceLock.exclusive():
            found = threads.submit(first.measure, [tiny_ghost()], BRIEFLY)
            until(lambda: len(describe("shelf").queue) == 1)
            given_up = threads.submit(second.measure, [tiny_ghost()], BRIEFLY)
            until(lambda: len(describe("shelf").queue) == 2)
            second.close()
            with pytest.raises(DeviceError, match="was closed"):
                given_up.result(PATIENCE)
            until(lambda: len(describe("shelf").queue) == 1)
        assert len(found.result(PATIENCE)) == 1


def test_nobody_scores_on_a_machine_that_measures_itself(farm, away):
    """The worker is that of a search on another machine."""
    import ray

    script = {60: ["spin"]}
    actor: Any = ray.remote(ScorerActor)
    worker = actor.options(num_cpus=0).remote("another machine", str(away), "1")
    make = partial(make_scoring, partial(scorers.scripted, away, script))
    ray.get(worker.prepare.remote(make))
    score = worker.compute.remote(scorers.network(60).to_json().encode())
    until(lambda: list(away.glob("count-*")))
    with ThreadPoolExecutor(1) as threads:
        measured = threads.submit(lane_of("shelf").measure, [tiny_ghost()], BRIEFLY)
        until(lambda: describe("shelf").queue)
        (count,) = away.glob("count-*")
        before = count.read_text()
        until(lambda: count.read_text() != before)
        assert not measured.done()
        (away / "enough").touch()
        (found,) = measured.result(PATIENCE)
    assert found.device == "shelf"
    assert ray.get(score, timeout=PATIENCE)
    ray.kill(worker)


@pytest.mark.slow
def test_a_process_that_is_killed_costs_its_batch_and_is_back(farm, away):
    lane = lane_of("board")
    process = process_of(farm.folder, "board")
    os.kill(process, signal.SIGKILL)
    until(lambda: not reaches(lane))
    until(lambda: reaches(lane))
    assert process_of(farm.folder, "board") != process
    until(lambda: any("board: its process ended unexpectedly" in line for line in farm.said))


def reaches(lane: FarmLane) -> bool:
    try:
        lane.reach()
    except DeviceError:
        return False
    return True


def process_of(host: Path, name: str) -> int:
    """The process of a device."""
    return int((host / f"{name}.pid").read_text())


COMMAND = "from tests.search.farm.brief import run_command; run_command()"


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-c", COMMAND, *arguments]


@pytest.mark.parametrize(
    "signum",
    [
        signal.SIGKILL,
        pytest.param(signal.SIGINT, marks=pytest.mark.slow),
        pytest.param(signal.SIGTERM, marks=pytest.mark.slow),
    ],
)
def test_whatever_ends_a_farm_nothing_of_it_runs_on(farm, away, host, signum):
    (host / "profiles/lone.yaml").write_text("description: y\ntransport: ssh\nhost: root@board\n")
    environment = os.environ | {"PYTHONPATH": str(ROOT), "RAY_ADDRESS": farm.address}
    with subprocess.Popen(
        command("farm", "--device", "lone"), env=environment, cwd=host, stderr=subprocess.PIPE
    ) as process:
        until(lambda: "lone" in list_served())
        lane = lane_of("lone")
        ended = process_of(host, "lone")
        process.send_signal(signum)
        process.wait()
    until(lambda: all_gone([ended]))
    until(lambda: "lone" not in list_served())
    with pytest.raises(DeviceError, match="no farm serves device lone any more; its host starts"):
        lane.reach()


def test_a_device_that_another_host_serves_is_refused(farm, host, monkeypatch):
    monkeypatch.chdir(host)
    profiles = check_farm(["board"])
    with pytest.raises(InputError, match=f"device 'board': {os.uname().nodename} serves one"):
        serving.serve(profiles, lambda _: None)
    assert describe("board")


def test_a_device_that_nobody_has_is_refused_with_the_names_of_all(farm, away):
    request = SearchRequest(devices=("bord",), ray="auto")
    with pytest.raises(InputError, match="unknown device 'bord'; did you mean 'board'"):
        request.check()


def test_the_status_shows_what_is_served(farm, away, capsys):
    lane_of("shelf", "shown").reach()
    told = ("board", "ssh board", "shelf", "shown on", os.uname().nodename, "onnxruntime", "idle")
    status()
    out = capsys.readouterr().out
    assert [text for text in told if text not in out] == []
    status(json=True)
    found = loads(capsys.readouterr().out)
    assert [each["name"] for each in found] == ["board", "shelf"]
