"""The search benchmark counts what it says: true hypervolume, gains, and when NSGA-II is passed."""

from __future__ import annotations

import optuna
import pytest

from benchmarks.samplers import NSGA2, RANDOM
from benchmarks.search_runs import Job, Run, hypervolumes, run_job, search
from benchmarks.search_summary import summarise


class Line:
    """One parameter x; x and 10 - x are maximised, but what is reported lies by far."""

    name = "line"
    directions = ("maximize", "maximize")
    reference = (0.0, 0.0)

    def suggest(self, trial):
        return {"x": trial.suggest_int("x", 0, 10)}

    def true_values(self, params):
        return params["x"], 10 - params["x"]

    def evaluate(self, params, rng):  # noqa: ARG002
        return 1000.0, 1000.0

    def constraints(self, params):
        return {"small": params["x"] - 5}


def made_up(sampler: str, hypervolumes_by_seed: list[list[float]]) -> list[Run]:
    return [
        Run(Job("line", sampler, seed, len(curve)), curve, 1.0)
        for seed, curve in enumerate(hypervolumes_by_seed)
    ]


def test_hypervolume_is_of_true_values_and_never_falls():
    assert hypervolumes(Line(), [(5, 5), (1, 1), (8, 2)]) == [25.0, 25.0, 31.0]


def test_what_is_infeasible_adds_nothing():
    sampler = optuna.samplers.RandomSampler(seed=0)
    truths = search(Line(), sampler, 40, seed=0)
    assert {truth for truth in truths if truth != (0.0, 0.0)} <= {(x, 10 - x) for x in range(6)}
    assert hypervolumes(Line(), truths)[-1] <= 5 * 5 + 4 + 3 + 2 + 1


def test_a_search_repeats_with_its_seed():
    first, again, other = (
        run_job(Job("mobile", RANDOM, seed, 12)).hypervolumes for seed in (1, 1, 2)
    )
    assert first == again
    assert first != other
    assert len(first) == 12


def test_gains_are_paired_by_seed_and_held_against_nsga2():
    runs = [
        *made_up(RANDOM, [[1, 10, 20], [2, 30, 40]]),
        *made_up(NSGA2, [[1, 10, 22], [2, 30, 44]]),
        *made_up("other", [[5, 25, 35], [5, 46, 55]]),
    ]
    random_, nsga2, other = summarise(runs)
    assert random_.gains.tolist() == [0, 0]
    assert nsga2.gains.tolist() == [2, 4]
    assert other.gains.tolist() == [15, 15]
    ratio, low, high = other.multiple
    assert ratio == pytest.approx(5.0)
    assert (low, high) == pytest.approx((15 / 4, 15 / 2))
    assert other.passed == 2
    assert random_.passed is None


def test_any_gain_is_infinitely_more_than_none():
    runs = [
        *made_up(RANDOM, [[3.0]]), *made_up(NSGA2, [[3.0]]), *made_up("other", [[4.0]]),
    ]  # fmt: skip
    assert summarise(runs)[2].multiple[0] == float("inf")
