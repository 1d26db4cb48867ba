"""Real worker processes that do their work, misbehave, stand still and end."""

from __future__ import annotations

import math
import os
import pickle
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest

from gnv2_nas.cores import usable_cores
from gnv2_nas.errors import InputError, OutputError, RunError
from gnv2_nas.runner import lock as device_lock
from gnv2_nas.runner.lock import DeviceLock
from gnv2_nas.search.engine import OutOfTime, ScoringFailure
from gnv2_nas.search.engine import supervisor as worker_supervisor
from gnv2_nas.search.engine.supervisor import MIN_TURN_SECONDS
from gnv2_nas.search.engine.workers import Workers
from tests.search.engine import scorers
from tests.search.engine.scorers import Script, attempts, network
from tests.waiting import PATIENCE, all_gone, all_stopped, until


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch) -> Path:
    """A temporary folder of its own, with a lock of its own."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    return tmp_path


@pytest.fixture
def clock(monkeypatch) -> SimpleNamespace:
    """The clock of the supervisor, which only the test moves."""
    clock = SimpleNamespace(now=0.0)
    clock.monotonic = lambda: clock.now
    monkeypatch.setattr(worker_supervisor, "time", clock)
    return clock


def following(folder: Path, script: Script, count: int = 2, timeout: float = PATIENCE) -> Workers:
    return Workers(count, partial(scorers.scripted, folder, script), timeout)


def tried(folder: Path, *numbers: int) -> list[int]:
    return [pid for number in numbers for pid in attempts(folder, number)]


@pytest.mark.parametrize("count", [1, 3])
def test_scores_come_in_the_order_of_their_networks_however_many_workers(here, count):
    numbers = [5, 1, 4, 2, 8, 3, 7]
    with following(here, {}, count) as workers:
        counted: list[int] = []
        asked = [network(number) for number in numbers]
        assert workers.scores(asked, counted.append) == numbers
        assert counted == list(range(1, len(numbers) + 1))
        assert workers.scores([network(9)]) == [9]
        assert workers.scores([]) == []
    processes = set(tried(here, 9, *numbers))
    assert 1 <= len(processes) <= count
    assert os.getpid() not in processes
    assert all_gone(processes)


def test_who_waits_no_longer_gets_what_there_is(here):
    with following(here, {1: ["hang"]}, 1) as workers:
        assert workers.scores([network(3)], seconds=PATIENCE) == [3]
        asked = [network(1), network(2)]
        assert workers.scores(asked, seconds=0.05) == [OutOfTime(), OutOfTime()]
    assert not attempts(here, 2)


def test_a_score_arrives_as_it_was_computed():
    with Workers(1, scorers.make_extreme, PATIENCE) as workers:
        large, small, undefined, third = workers.scores([network(n) for n in (1, 2, 3, 4)])
    assert (large, small, third) == (math.inf, -math.inf, 1 / 3)
    assert math.isnan(undefined)


def test_a_score_can_be_waited_for_later(here):
    with following(here, {1: ["spin"]}) as workers:
        slow, fast = workers.submit(network(1)), workers.submit(network(2))
        assert fast.result(PATIENCE) == 2
        assert not slow.done()
        (here / "enough").touch()
        assert slow.result(PATIENCE) == 1


def test_workers_share_the_cores_and_start_with_nothing(monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    for count, threads in ((1, usable_cores()), (usable_cores() + 1, 1)):
        with Workers(count, scorers.make_environment, PATIENCE) as workers:
            assert workers.scores([network(n) for n in (1, 2, 3)]) == [threads, False, True]
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    with Workers(1, scorers.make_environment, PATIENCE) as workers:
        assert workers.scores([network(1)]) == [7]


def test_what_a_scorer_prints_is_no_result_of_ours(here, capfd):
    with following(here, {1: ["print"]}) as workers:
        assert workers.scores([network(1)]) == [1]
        workers.close()
    assert capfd.readouterr().out == ""


@pytest.mark.parametrize("deed", ["killed", "raise"])
def test_what_goes_wrong_once_costs_nothing(here, deed):
    with following(here, {2: [deed]}) as workers:
        assert workers.scores([network(n) for n in (1, 2, 3)]) == [1, 2, 3]
    assert len(attempts(here, 1)) == len(attempts(here, 3)) == 1
    first, second = attempts(here, 2)
    assert first != second or deed == "raise"


@pytest.mark.parametrize(
    ("deed", "reason"),
    [
        ("killed", "its worker was killed (SIGKILL), as the system does when memory runs out"),
        ("segfault", "its worker crashed (Segmentation fault)"),
        ("exit", "its worker ended itself with exit code 3"),
        ("out of memory", "its worker ran out of memory"),
        ("raise", "ValueError: no such layer"),
    ],
)
def test_what_goes_wrong_twice_costs_its_network_alone(here, deed, reason):
    with following(here, {2: [deed] * 9}) as workers:
        one, error, three = workers.scores([network(n) for n in (1, 2, 3)])
        assert (one, three) == (1, 3)
        assert error == ScoringFailure(f"tried 2 times, each time {reason}")
        assert workers.scores([network(4)]) == [4]
    assert len(attempts(here, 2)) == 2


def test_both_reasons_are_given_where_they_differ(here):
    with following(here, {1: ["exit", "raise"]}) as workers:
        assert workers.scores([network(1)]) == [
            ScoringFailure(
                "tried 2 times: its worker ended itself with exit code 3, "
                "then ValueError: no such layer"
            )
        ]


def test_all_workers_may_die_at_once(here):
    numbers = range(1, 5)
    with following(here, {number: ["killed"] for number in numbers}, count=3) as workers:
        assert workers.scores([network(n) for n in numbers]) == list(numbers)


def test_an_idle_worker_that_dies_is_replaced(here):
    with following(here, {}, count=1) as workers:
        assert workers.scores([network(1)]) == [1]
        (pid,) = attempts(here, 1)
        os.kill(pid, 9)
        assert workers.scores([network(2)]) == [2]
    assert pid not in attempts(here, 2)[1:]


def test_one_that_hangs_is_given_up_and_the_others_go_on(here, clock):
    with following(here, {1: ["hang", "hang"]}, timeout=60) as workers:
        hanging = workers.submit(network(1))
        for attempt in (1, 2):
            until(lambda wanted=attempt: len(attempts(here, 1)) == wanted)
            assert workers.scores([network(2)]) == [2]
            clock.now += 59
            assert workers.scores([network(2)]) == [2]
            assert not hanging.done()
            clock.now += 2
        assert hanging.result(PATIENCE) == ScoringFailure(
            "tried 2 times, each time its worker gave no score within 60 s"
        )
    assert all_gone(attempts(here, 1))


def test_a_wrong_input_ends_it(here):
    with following(here, {2: ["refuse"]}) as workers:
        with pytest.raises(InputError, match="the images are gone"):
            workers.scores([network(n) for n in (1, 2, 3)])
        assert len(attempts(here, 2)) == 1
        assert workers.scores([network(4)]) == [4]


def test_a_wrong_input_is_told_before_the_others_are_done(here):
    with (
        following(here, {1: ["hang"], 2: ["refuse"]}) as workers,
        pytest.raises(InputError, match="the images are gone"),
    ):
        workers.scores([network(1), network(2)])


def test_a_scorer_that_cannot_be_made_is_told():
    for make, error, text in (
        (partial(scorers.broken, "no disk"), RunError, "a worker cannot score: OSError: no disk"),
        (partial(scorers.refused, "no images"), InputError, "no images"),
    ):
        with (
            Workers(2, make, PATIENCE) as workers,
            pytest.raises(error, match=f"^{text}$"),
        ):
            workers.scores([network(1), network(2)])


def test_making_a_scorer_that_runs_out_of_memory_is_tried_twice():
    with Workers(1, scorers.out_of_memory, PATIENCE) as workers:
        assert workers.scores([network(1)]) == [
            ScoringFailure("tried 2 times, each time its worker ran out of memory")
        ]


def test_making_a_scorer_may_take_longer_than_a_network(here, clock):
    make = partial(scorers.never_ready, here)
    with Workers(1, make, timeout=1, setup_timeout=60) as workers:
        score = workers.submit(network(1))
        for attempt in (1, 2):
            until(lambda wanted=attempt: len(list(here.glob("making-*"))) == wanted)
            clock.now += 59
            with pytest.raises(TimeoutError):
                score.result(0.2)
            clock.now += 2
        assert score.result(PATIENCE) == ScoringFailure(
            "tried 2 times, each time its worker was not ready within 60 s"
        )


def test_wrong_arguments_are_refused_before_anything_is_started():
    with pytest.raises(ValueError, match="`count >= 1` must hold, but got 0"):
        Workers(0, scorers.make_extreme, 1)
    with pytest.raises((pickle.PicklingError, AttributeError)):
        Workers(1, lambda: scorers.extreme, 1)


def test_a_lock_that_cannot_be_had_is_an_error_and_no_hang(here):
    (here / f"gnv2-nas-{os.getuid()}").touch()
    with following(here, {}) as workers, pytest.raises(OutputError, match="set TMPDIR"):
        workers.scores([network(1)])


@pytest.fixture
def spinning(here) -> Iterator[Workers]:
    """Two workers that compute until there is a file `enough`."""
    with following(here, {1: ["spin"], 2: ["spin"]}, timeout=60) as workers:
        workers.spun = [workers.submit(network(n)) for n in (1, 2)]
        until(lambda: len(list(here.glob("count-*"))) == 2)
        yield workers


def counts(folder: Path) -> list[str]:
    return [file.read_text() for file in sorted(folder.glob("count-*"))]


def test_paused_workers_compute_nothing_and_go_on_afterwards(here, spinning):
    for _ in range(2):
        with spinning.paused(), spinning.paused():
            assert all_stopped(tried(here, 1, 2))
            before = counts(here)
            extra = spinning.submit(network(3))
            assert counts(here) == before
            assert not extra.done()
            extra.cancel()
        until(lambda before=before: all(map(str.__ne__, counts(here), before)))
    (here / "enough").touch()
    assert [score.result(PATIENCE) for score in spinning.spun] == [1, 2]


def test_a_timeout_does_not_count_the_time_of_a_pause(here, clock, spinning):
    clock.now += 50
    with spinning.paused():
        clock.now += 1000
    clock.now += 5
    (here / "enough").touch()
    assert [score.result(PATIENCE) for score in spinning.spun] == [1, 2]
    assert len(tried(here, 1, 2)) == 2


def children() -> str:
    return "".join(each.read_text() for each in Path("/proc/self/task").glob("*/children"))


def test_nothing_is_started_during_a_pause(here):
    with following(here, {}) as workers:
        with workers.paused():
            before = children()
            score = workers.submit(network(1))
            with workers.paused():  # the supervisor has seen the network by then
                assert children() == before
        assert score.result(PATIENCE) == 1


def test_a_paused_worker_that_is_killed_is_replaced(here, spinning):
    with spinning.paused():
        os.kill(attempts(here, 1)[0], 9)
    (here / "enough").touch()
    assert [score.result(PATIENCE) for score in spinning.spun] == [1, 2]
    assert len(attempts(here, 1)) == 2


def test_workers_keep_others_from_measuring_only_while_they_compute(here, spinning):
    request = DeviceLock("exclusive")
    assert not request.try_acquire()
    request.release()
    with spinning.paused():
        assert request.try_acquire()
        request.release()
    (here / "enough").touch()
    for score in spinning.spun:
        score.result(PATIENCE)
    until(request.try_acquire)
    request.release()


def test_workers_give_way_to_anyone_who_waits_to_measure(here, clock, spinning):
    request = DeviceLock("exclusive")
    assert not request.try_acquire()
    clock.now += MIN_TURN_SECONDS
    until(request.try_acquire)
    assert all_stopped(tried(here, 1, 2))
    # Not even a pause that begins and ends meanwhile sets them free.
    with spinning.paused():
        pass
    assert all_stopped(tried(here, 1, 2))
    before = counts(here)
    request.release()
    until(lambda: all(map(str.__ne__, counts(here), before)))


def test_workers_give_way_to_their_own_parent_too(here, clock, spinning):
    clock.now += MIN_TURN_SECONDS
    with DeviceLock.exclusive():
        assert all_stopped(tried(here, 1, 2))


@pytest.mark.parametrize("lock", [DeviceLock.exclusive, DeviceLock.shared])
def test_scores_are_not_waited_for_by_one_who_keeps_the_workers_waiting(here, lock):
    with following(here, {}) as workers:
        with lock(), pytest.raises(RuntimeError, match="might wait for itself"):
            workers.scores([network(1)])
        assert workers.scores([network(1)]) == [1]


def test_for_whom_scoring_waits_is_told(here, monkeypatch):
    monkeypatch.setattr(device_lock, "SECONDS_BEFORE_TELLING", 0)
    request, told = DeviceLock("exclusive"), []
    assert request.try_acquire()
    make = partial(scorers.scripted, here, {})
    with Workers(1, make, PATIENCE, waiting=told.append) as workers:
        score = workers.submit(network(1))
        until(lambda: told)
        request.release()
        assert score.result(PATIENCE) == 1
    assert told == [f"another gnv2-nas on this machine is measuring (pid {os.getpid()}); waiting"]


def test_closing_ends_workers_that_compute_and_those_that_are_stopped(here, spinning):
    with spinning.paused():
        spinning.close()
    assert all_gone(tried(here, 1, 2))
    for score in spinning.spun:
        with pytest.raises(RuntimeError, match="the workers were closed"):
            score.result(PATIENCE)
    with pytest.raises(RuntimeError, match="closed"):
        spinning.submit(network(1))
    spinning.close()
    request = DeviceLock("exclusive")
    assert request.try_acquire()
    request.release()
