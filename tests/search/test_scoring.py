"""Scoring by workers: none is without work, no network waits for a slower one, time is kept."""

from __future__ import annotations

import math
import random
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from gnv2_nas.errors import InputError, RunError
from gnv2_nas.quality import ESTIMATORS
from gnv2_nas.search.engine import ScoringFailure
from gnv2_nas.search.evaluate import Evaluator
from gnv2_nas.search.lanes import Lanes
from gnv2_nas.search.loop import BATCH
from gnv2_nas.search.pace import Deadline
from gnv2_nas.search.sampler.factory import make_sampler
from gnv2_nas.search.scoring import Scoring
from tests.search.simulated import Machine, SimulatedLane, simulated
from tests.search.study_helpers import SETTINGS, candidate


class Scorers:
    """Workers whose scores the test gives."""

    def __init__(self, count):
        self.count, self.futures = count, {}

    def submit(self, architecture):
        return self.futures.setdefault(architecture.id, Future())

    def finish(self, trial, score=1.0):
        self.futures[trial.architecture.id].set_result(score)


class Estimator:
    info = ESTIMATORS["params"]


def scoring(count):
    scorers, withdrawn = Scorers(count), []
    evaluator = Evaluator(SETTINGS, Estimator(), Lanes([]), scorers)
    return Scoring(evaluator, withdrawn.append, lambda _: None), scorers, withdrawn


def test_networks_are_handed_out_in_full_batches_without_waiting_for_a_slow_one():
    queue, scorers, _ = scoring(6)
    trials = [candidate(number) for number in range(6)]
    queue.submit(trials[:5], Deadline())
    assert queue.has_room  # one worker has nothing to do
    queue.submit(trials[5:], Deadline())
    assert not queue.has_room
    for number in (4, 1, 3):
        scorers.finish(trials[number], float(number))
    assert queue.take(4, waits=False) == []
    assert queue.take(2, waits=False) == [(trials[1], 1.0), (trials[3], 3.0)]
    scorers.finish(trials[5], ScoringFailure("it died twice"))
    assert queue.take(2, waits=True) == [
        (trials[4], 4.0),
        (trials[5], ScoringFailure("it died twice")),
    ]
    assert queue.count == 2
    for number in (0, 2):
        scorers.finish(trials[number])
    assert [trial for trial, _ in queue.take(8, waits=True)] == [trials[0], trials[2]]
    assert queue.has_room


def test_what_is_not_scored_in_time_is_withdrawn_unless_it_is_wanted_in_any_case():
    queue, scorers, withdrawn = scoring(4)
    trials = [candidate(number) for number in range(3)]
    now = [0.0]
    queue.submit(trials, Deadline(1.0, lambda: now[0]), at_least=1)
    scorers.finish(trials[2])
    now[0] = 2.0
    assert queue.take(2, waits=True) == [(trials[2], 1.0)]
    assert withdrawn == [trials[1]]
    assert scorers.futures[trials[1].architecture.id].cancelled()
    assert queue.count == 1
    queue.stop()
    assert withdrawn == [trials[1], trials[0]]
    assert not queue.count


def test_a_scorer_that_refuses_its_input_ends_the_search():
    queue, scorers, _ = scoring(1)
    queue.submit([candidate(0)], Deadline())
    scorers.futures[candidate(0).architecture.id].set_exception(InputError("no such images"))
    with pytest.raises(InputError, match="no such images"):
        queue.take(1, waits=True)


class Pool:
    """Many workers; the order in which they finish is drawn."""

    def __init__(self, count):
        self.count, self.asked, self.most = count, [], 0
        self.threads, self.rng = ThreadPoolExecutor(1), random.Random(0)

    def submit(self, architecture):
        future = Future()
        self.asked.append((future, architecture))
        self.most = max(self.most, len(self.asked))
        self.threads.submit(self._finish_one)
        return future

    def scores(self, architectures, *_):
        return [future.result() for future in map(self.submit, architectures)]

    def _finish_one(self):
        future, architecture = self.asked.pop(self.rng.randrange(len(self.asked)))
        future.set_result(float(len(architecture.id)))


@pytest.mark.parametrize("sampler", ["random", "predictor"])
def test_a_search_with_many_workers_evaluates_as_many_networks_and_none_twice(small, sampler):
    pool = Pool(30)
    ended = simulated(
        small, 0, trials=60, ablations=0, workers=pool,
        make=lambda seed: make_sampler(sampler, seed),
    )  # fmt: skip
    pool.threads.shutdown()
    trials = [each for each in ended.loop.trials.values() if each.searched]
    assert len(trials) == ended.loop.evaluated == 60
    assert len({each.architecture.id for each in ended.loop.trials.values()}) == len(
        ended.loop.trials
    )
    assert ended.loop.evaluator.pace.scoring(1) < math.inf
    assert pool.count > BATCH


class Together:
    """Workers that finish when all of them have work, all at the same time."""

    def __init__(self, count):
        self.count, self.futures = count, []

    def submit(self, architecture):
        future = Future()
        self.futures.append((future, float(len(architecture.id))))
        if len(self.futures) == self.count:
            for each, score in self.futures:
                each.set_result(score)
        return future

    def scores(self, architectures, *_):
        return [1.0 for _ in architectures]


def on_three_boards(space, **options):
    machine = Machine()
    lanes = [SimulatedLane(machine, number) for number in range(3)]
    for number, lane in enumerate(lanes):
        lane.name = lane.machine = f"board{number}"
    return simulated(space, 0, machine=machine, lanes=lanes, ablations=0, **options)


def test_devices_get_all_that_is_scored_before_they_wait_for_proposals(small):
    ended = on_three_boards(small, trials=3 * BATCH, workers=Together(3 * BATCH))
    assert ended.loop.evaluated == 3 * BATCH
    doing = [each.doing for each in ended.statuses if each.doing in ("proposing", "measuring")]
    assert doing[:6] == ["proposing"] * 3 + ["measuring"] * 3


class Lost(Together):
    """Workers that are lost after their first results."""

    def submit(self, architecture):
        if len(self.futures) == self.count:
            raise RunError("the cluster is gone")
        return super().submit(architecture)


def test_what_devices_measure_while_the_workers_are_lost_is_kept(small):
    ended = on_three_boards(small, trials=9 * BATCH, workers=Lost(3 * BATCH))
    assert str(ended.error) == "the cluster is gone"
    assert sum(not each.baseline for each in ended.memory.kept) == 3 * BATCH
