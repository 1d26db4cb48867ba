"""A search ends when it was told to: on a clock that work moves on."""

from __future__ import annotations

import math
import tempfile
import time

import pytest

from gnv2_nas.errors import OutOfTimeError
from gnv2_nas.runner.lock import DeviceLock, lock_deadline
from gnv2_nas.search.pace import Deadline, MeasuringPace, Pace
from tests.search.simulated import Machine, SimulatedLane, simulated
from tests.search.spaces import AT_32

MACHINES = {
    "idle": Machine(),
    "busy": Machine(busy=3.0),
    "slow to ready": Machine(ready=2.0),
    "slow to score": Machine(score=6.0),
    "slow networks": Machine(visit=1.5),
    "slow to propose": Machine(propose=1.5),
}


def machine(name: str) -> Machine:
    """A machine whose clock nobody else moves."""
    fresh = Machine()
    fresh.__dict__.update(MACHINES[name].__dict__)
    return fresh


@pytest.mark.parametrize("seconds", [25, 60, 120])
@pytest.mark.parametrize("name", MACHINES)
def test_a_search_and_its_end_keep_the_time_limit(small, name, seconds):
    for seed in range(2):
        ended = simulated(small, seed, machine=machine(name), seconds=seconds, trials=10_000)
        allowed = max(0.1 * seconds, ended.machine.one_network)
        assert ended.seconds <= seconds + allowed
        assert any(each.searched for each in ended.loop.trials.values())


@pytest.mark.parametrize("objectives", [("quality", "macs"), ("quality", "latency")])
def test_most_of_the_time_is_used(small, objectives):
    ended = simulated(small, 0, seconds=60, trials=10_000, objectives=objectives)
    assert ended.seconds > 48


def test_a_machine_that_becomes_busy_is_noticed(small):
    slowing = Machine()

    def becomes_busy() -> float:
        slowing.busy = 4.0 if slowing.now > 1040 else 1.0
        return slowing.now

    slowing.clock = becomes_busy  # type: ignore[method-assign]
    ended = simulated(small, 0, machine=slowing, seconds=90, trials=10_000)
    assert ended.seconds <= 90 + max(9, slowing.one_network)


def test_what_comes_before_the_search_counts(small):
    ended = simulated(small, 0, seconds=60, before=lambda it: it.work(40), trials=10_000)
    assert ended.seconds <= 66


def test_a_time_limit_that_is_over_leaves_the_reference_network(small):
    ended = simulated(small, 0, seconds=10, before=lambda it: it.work(11), trials=10_000)
    found = [each.baseline for each in ended.loop.trials.values()]
    assert found == ["ghostnetv2-1.0 at 32 px"]


def test_without_a_limit_nothing_is_left_out(small):
    ended = simulated(small, 0, trials=12, ablations=3)
    origins = [each.origin for each in ended.loop.trials.values()]
    assert origins.count("change") == 3
    assert sum(each.searched for each in ended.loop.trials.values()) == 12
    assert sorted(filter(None, (each.baseline for each in ended.loop.trials.values()))) == AT_32
    assert ended.left_out == []


def test_changes_that_were_cut_short_are_counted(small):
    said = {
        line
        for seconds in range(60, 140, 8)
        for line in simulated(small, 1, seconds=seconds, trials=8, ablations=12).left_out
        if "recommended" in line
    }
    assert any(
        "of 12 single changes to the recommended network: time limit" in line for line in said
    )
    assert any(line.startswith("skipped the ablation of the recommended") for line in said)


def test_a_machine_that_another_process_uses_all_the_time_ends_the_search(small, monkeypatch):
    def refuse(self, *_, **__):
        raise OutOfTimeError("another one measures")

    monkeypatch.setattr(SimulatedLane, "measure", refuse)
    ended = simulated(small, 0, seconds=60)
    assert ended.memory.kept == []
    assert ended.seconds < 66


def test_a_deadline_is_a_point_in_time():
    now = [10.0]
    deadline = Deadline(30.0, lambda: now[0])
    assert (deadline.left, deadline.within(0.25).at, deadline.earlier(5).at) == (20.0, 15.0, 25.0)
    assert deadline.allows(20)
    assert not deadline.allows(20.1)
    deadline.check("while it ran")
    now[0] = 31.0
    assert deadline.is_over
    assert deadline.within(0.5).at == 30.0
    with pytest.raises(OutOfTimeError, match="the time limit ended while it ran; --timeout gives"):
        deadline.check("while it ran")
    never = Deadline()
    assert not never.is_over
    assert never.within(0.5) == never == never.earlier(3)


def test_networks_are_expected_to_cost_what_the_slowest_of_late_did():
    pace = Pace()
    assert pace.scoring(10) == 0
    pace.scored(4, 8.0)
    assert pace.scoring(3) == 6.0
    pace.scored(1, 5.0)
    assert pace.scoring(1) == 5.0
    pace.scored(1, 1.0)
    assert pace.scoring(1) == pytest.approx(14 / 6)
    assert MeasuringPace().measuring(0) == 0


@pytest.mark.parametrize("lock", [DeviceLock.exclusive, DeviceLock.shared])
def test_nobody_waits_for_another_process_longer_than_that(lock, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    other = DeviceLock("exclusive")
    assert other.try_acquire()
    try:
        with (
            lock_deadline(time.monotonic() + 0.01),
            pytest.raises(OutOfTimeError, match="another gnv2-nas used this machine"),
            lock(),
        ):
            pass
    finally:
        other.release()
    with lock_deadline(-math.inf), lock():
        pass
