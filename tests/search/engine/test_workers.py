"""Real processes of Ray that score, misbehave, stand still and end.

All tests share a cluster of two nodes and most share its workers, because each process takes a
second to start.
"""

from __future__ import annotations

import math
import os
import platform
import re
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing, nullcontext
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest

from gnv2_nas.errors import InputError, OutputError, RunError
from gnv2_nas.runner import lock as device_lock
from gnv2_nas.runner.lock import MIN_TURN_SECONDS, DeviceLock
from gnv2_nas.search.engine import OutOfTime, ScoringFailure, worker_handle
from gnv2_nas.search.engine import turns as worker_turns
from gnv2_nas.search.engine.cluster import check_address, connected, explain
from gnv2_nas.search.engine.workers import Workers
from tests.search.engine import scorers
from tests.search.engine.scorers import attempts, network
from tests.waiting import PATIENCE, all_gone, all_stopped, until

SCRIPT = {
    11: ["infinite"], 12: ["undefined"], 13: ["third"],
    21: ["threads"], 22: ["torch"], 23: ["own group"],
    31: ["killed"], 32: ["killed", "killed"], 33: ["raise"], 34: ["raise", "raise"],
    35: ["exit", "raise"], 36: ["out of memory", "out of memory"],
    41: ["refuse"], 42: ["hang", "hang"],
} | {number: ["spin"] for number in range(50, 80)}  # fmt: skip


@pytest.fixture(scope="module")
def workers(cluster, here) -> Iterator[Workers]:
    """Three workers, for which one node is too small."""
    with closing(Workers(3, partial(scorers.scripted, here, SCRIPT), 60)) as workers:
        yield workers


@pytest.fixture
def clock(monkeypatch) -> SimpleNamespace:
    """The clock of the workers, which only the test moves."""
    clock = SimpleNamespace(now=0.0)
    clock.monotonic = lambda: clock.now
    monkeypatch.setattr(worker_turns, "time", clock)
    return clock


@pytest.mark.usefixtures("ray_package")
def test_a_cluster_that_nobody_answers_for_is_refused():
    with (
        pytest.raises(InputError, match=r"^--ray: no cluster can be reached at 'ray://127"),
        connected("ray://127.0.0.1:1", 1),
    ):
        pass


@pytest.mark.parametrize("address", ["ray://", "ray://host:port", "host:10001", "ray://host/path"])
def test_an_address_that_is_none_is_refused(address):
    with pytest.raises(InputError, match=r"is neither 'auto' nor like 'ray://HOST:10001'$"):
        check_address(address)
    check_address("ray://host")


def test_without_ray_the_extra_is_named(monkeypatch):
    check_address("")
    monkeypatch.setitem(sys.modules, "ray", None)
    for address, option in (("", "--workers above 1"), ("auto", "--ray")):
        with pytest.raises(InputError, match=re.escape("pip install 'gnv2-nas[ray]'")) as refused:
            check_address(address)
        assert str(refused.value).startswith(option)


@pytest.mark.usefixtures("ray_package")
def test_other_versions_are_told_in_one_line():
    from ray._private.utils import check_version_info

    with pytest.raises(RuntimeError) as mismatch:
        check_version_info({"ray_version": "2.59.1", "python_version": "3.11.2"}, "here")
    error = explain(mismatch.value, "auto")
    assert isinstance(error, InputError)
    assert "the cluster at 'auto' runs Ray 2.59.1 and Python 3.11.2, this machine Ray" in str(error)
    assert "\n" not in str(error)


def test_scores_come_in_the_order_of_their_networks(workers, here):
    numbers = [5, 1, 4, 2, 8, 3, 7]
    counted: list[int] = []
    assert workers.scores([network(number) for number in numbers], counted.append) == numbers
    assert counted == list(range(1, len(numbers) + 1))
    processes = {pid for number in numbers for pid in attempts(here, number)}
    assert os.getpid() not in processes
    assert 1 <= len(processes) <= 3
    assert workers.scores([]) == []


def test_a_score_arrives_as_it_was_computed(workers):
    small, undefined, third = workers.scores([network(n) for n in (11, 12, 13)])
    assert (small, third) == (-math.inf, 1 / 3)
    assert math.isnan(undefined)


def test_a_process_has_its_share_of_the_cores_its_own_group_and_nothing_loaded(workers):
    assert workers.scores([network(n) for n in (21, 22, 23)]) == [1, False, True]


def test_what_goes_wrong_costs_its_network_alone_and_once_nothing(workers, here):
    gone = "its worker crashed or was killed, as the system does when memory runs out"
    numbers = [1, 31, 32, 33, 34, 35, 36, 2]
    assert workers.scores([network(n) for n in numbers]) == [
        1,
        31,
        ScoringFailure(f"tried 2 times, each time {gone}"),
        33,
        ScoringFailure("tried 2 times, each time ValueError: no such layer"),
        ScoringFailure(f"tried 2 times: {gone}, then ValueError: no such layer"),
        ScoringFailure("tried 2 times, each time its worker ran out of memory"),
        2,
    ]
    assert [len(attempts(here, n)) for n in numbers[1:-1]] == [2] * 6
    first, second = attempts(here, 36)
    assert first != second
    assert workers.scores([network(4)]) == [4]


def test_a_wrong_input_is_told_before_the_others_are_done(workers, here):
    with pytest.raises(InputError, match=r"^the images are gone$"):
        workers.scores([network(n) for n in (50, 41)])
    (here / "enough").touch()
    assert len(attempts(here, 41)) == 1
    assert workers.scores([network(4)]) == [4]


def test_who_waits_no_longer_gets_what_there_is(workers, here):
    (here / "enough").unlink(missing_ok=True)
    slow = [network(n) for n in (51, 52, 53)]
    scores = workers.scores([*slow, network(54)], seconds=0.1)
    assert scores == [OutOfTime()] * 4
    (here / "enough").touch()
    assert workers.scores([network(4)]) == [4]
    assert not attempts(here, 54)


def test_one_that_hangs_is_given_up_and_the_others_go_on(workers, here, clock):
    hanging = workers.submit(network(42))
    for attempt in (1, 2):
        until(lambda wanted=attempt: len(attempts(here, 42)) == wanted)
        clock.now += 59
        assert workers.scores([network(2)]) == [2]
        assert not hanging.done()
        clock.now += 2
    assert hanging.result(PATIENCE) == ScoringFailure(
        "tried 2 times, each time its worker gave no score within 60 s"
    )
    until(lambda: all_gone(attempts(here, 42)))


def test_a_scorer_that_cannot_be_made_is_told(cluster, here):
    for make, error, text in (
        (partial(scorers.broken, "no disk"), RunError, "a worker cannot start: OSError: no disk"),
        (partial(scorers.refused, "no images"), InputError, "no images"),
    ):
        with (
            closing(Workers(1, make, PATIENCE)) as workers,
            pytest.raises(error, match=f"^{text}$"),
        ):
            workers.scores([network(1), network(2)])


def test_what_is_not_there_on_another_machine_names_the_machine(cluster, here, monkeypatch):
    monkeypatch.setattr(worker_handle, "identify_machine", lambda: "another one")
    where = re.escape(f"on machine {platform.node()!r} of the cluster: ")
    with (
        closing(Workers(1, partial(scorers.refused, "no images"), PATIENCE)) as workers,
        pytest.raises(InputError, match=f"^{where}no images$"),
    ):
        workers.scores([network(1)])
    monkeypatch.setattr(Path, "cwd", lambda: here / "not shared")
    with (
        closing(Workers(1, scorers.out_of_memory, PATIENCE)) as workers,
        pytest.raises(InputError, match=f"^{where}there is no folder '.*/not shared': run the"),
    ):
        workers.scores([network(1)])


def test_making_a_scorer_is_tried_twice(cluster, here):
    with closing(Workers(1, scorers.out_of_memory, PATIENCE)) as workers:
        assert workers.scores([network(1)]) == [
            ScoringFailure("tried 2 times, each time its worker ran out of memory")
        ]


def test_wrong_arguments_are_refused_before_anything_is_started():
    with pytest.raises(ValueError, match="`count >= 1` must hold, but got 0"):
        Workers(0, scorers.out_of_memory, 1)


def test_a_lock_that_cannot_be_had_is_an_error_and_no_hang(cluster, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    (tmp_path / f"gnv2-nas-{os.getuid()}").touch()
    with (
        closing(Workers(1, scorers.out_of_memory, PATIENCE)) as workers,
        pytest.raises(OutputError, match="set TMPDIR"),
    ):
        workers.scores([network(1)])


class Spinning:
    """Two networks that are computed until `finish` is called."""

    def __init__(self, workers: Workers, here: Path, numbers: tuple[int, int]) -> None:
        self.here, self.numbers = here, numbers
        (here / "enough").unlink(missing_ok=True)
        for file in here.glob("count-*"):
            file.unlink()
        self.futures = [workers.submit(network(number)) for number in numbers]
        until(lambda: len(self.counts()) == 2)

    def counts(self) -> list[str]:
        return [file.read_text() for file in sorted(self.here.glob("count-*"))]

    def processes(self) -> list[int]:
        return [pid for number in self.numbers for pid in attempts(self.here, number)]

    def go_on(self, before: list[str]) -> bool:
        return all(map(str.__ne__, self.counts(), before))

    def finish(self) -> None:
        (self.here / "enough").touch()
        assert [each.result(PATIENCE) for each in self.futures] == list(self.numbers)


@pytest.fixture
def spinning(workers, here) -> Iterator[Spinning]:
    first = 60 + len(list(here.glob("6*")))
    yield (spinning := Spinning(workers, here, (first, first + 1)))
    spinning.finish()


def test_paused_workers_compute_nothing_and_go_on_afterwards(workers, spinning):
    for _ in range(2):
        with workers.paused(), workers.paused():
            assert all_stopped(spinning.processes())
            before = spinning.counts()
            extra = workers.submit(network(3))
            assert spinning.counts() == before
            assert not extra.done()
            extra.cancel()
        until(lambda before=before: spinning.go_on(before))


def test_a_timeout_does_not_count_the_time_of_a_pause(workers, clock, spinning):
    clock.now += 50
    with workers.paused():
        clock.now += 1000
    clock.now += 5
    spinning.finish()
    assert len(spinning.processes()) == 2


def test_a_paused_worker_that_is_killed_is_replaced(workers, spinning):
    with workers.paused():
        os.kill(spinning.processes()[0], signal.SIGKILL)
    spinning.finish()
    assert len(spinning.processes()) == 3


def test_workers_keep_others_from_measuring_only_while_they_compute(workers, spinning):
    request = DeviceLock("exclusive")
    assert not request.try_acquire()
    request.release()
    with workers.paused():
        assert request.try_acquire()
        request.release()
    spinning.finish()
    until(request.try_acquire)
    request.release()


def test_workers_give_way_to_anyone_who_waits_to_measure(workers, clock, spinning):
    request = DeviceLock("exclusive")
    assert not request.try_acquire()
    clock.now += MIN_TURN_SECONDS
    until(request.try_acquire)
    assert all_stopped(spinning.processes())
    # Not even a pause that begins and ends meanwhile sets them free.
    with workers.paused():
        pass
    assert all_stopped(spinning.processes())
    before = spinning.counts()
    request.release()
    until(lambda: spinning.go_on(before))
    # To the search's own measurement, too.
    clock.now += MIN_TURN_SECONDS
    with DeviceLock.exclusive():
        assert all_stopped(spinning.processes())


@pytest.mark.parametrize("lock", [DeviceLock.exclusive, DeviceLock.shared])
def test_scores_are_not_waited_for_by_one_who_keeps_the_workers_waiting(workers, lock):
    with lock(), pytest.raises(RuntimeError, match="might wait for itself"):
        workers.scores([network(1)])
    assert workers.scores([network(1)]) == [1]


def test_for_whom_scoring_waits_is_told(cluster, here, monkeypatch):
    monkeypatch.setattr(device_lock, "SECONDS_BEFORE_TELLING", 0)
    request, told = DeviceLock("exclusive"), []
    assert request.try_acquire()
    make = partial(scorers.scripted, here, {})
    with closing(Workers(1, make, PATIENCE, waiting=told.append)) as workers:
        score = workers.submit(network(1))
        until(lambda: told)
        request.release()
        assert score.result(PATIENCE) == 1
    assert told == [f"another gnv2-nas on this machine is measuring (pid {os.getpid()}); waiting"]


@pytest.mark.parametrize("stopped", [False, True])
def test_closing_ends_workers_that_compute_and_those_that_are_stopped(cluster, here, stopped):
    (here / "enough").unlink(missing_ok=True)
    workers, number = Workers(1, partial(scorers.scripted, here, SCRIPT), 60), 75 + stopped
    score = workers.submit(network(number))
    until(lambda: attempts(here, number))
    with workers.paused() if stopped else nullcontext():
        workers.close()
    until(lambda: all_gone(attempts(here, number)))
    with pytest.raises(RuntimeError, match="the workers were closed"):
        score.result(PATIENCE)
    with pytest.raises(RuntimeError, match="closed"):
        workers.submit(network(1))
    workers.close()
    request = DeviceLock("exclusive")
    assert request.try_acquire()
    request.release()


def test_a_node_that_is_gone_costs_no_network(cluster, workers, here):
    numbers = (71, 72, 73)
    (here / "enough").unlink(missing_ok=True)
    futures = [workers.submit(network(number)) for number in numbers]
    until(lambda: all(attempts(here, number) for number in numbers))
    (node,) = cluster.worker_nodes
    cluster.remove_node(node, allow_graceful=False)
    until(lambda: any(all_gone(attempts(here, number)) for number in numbers))
    (here / "enough").touch()
    assert [each.result(PATIENCE) for each in futures] == list(numbers)
    assert sum(len(attempts(here, number)) for number in numbers) == 4
