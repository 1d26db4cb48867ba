"""`PredictorSampler` as plain Optuna has it: any space, any outcome, and nothing proposed twice."""

from __future__ import annotations

import math

import numpy as np
import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import TrialState

import gnv2_nas as gn
from tests.search.sampler.sampler_helpers import (
    EVERY_KIND,
    FOURS,
    ask,
    genotypes,
    study_with,
    total,
)

SHORT = {"startup_trials": 6, "batch_size": 4}


def test_every_value_is_one_that_was_asked_for():
    study = study_with(**SHORT)
    trials = ask(study, EVERY_KIND, 24, lambda trial: trial.params["int"] + trial.params["float"])
    for trial in trials:
        for name, distribution in EVERY_KIND.items():
            value = trial.params[name]
            assert distribution._contains(distribution.to_internal_repr(value)), (name, value)
    assert len(set(genotypes(trials))) == 24
    assert study.best_value < -2.5


@pytest.mark.parametrize(
    ("distribution", "values"),
    [
        (CategoricalDistribution(["a", "b", "c"]), 3),
        (CategoricalDistribution([0.5, -1, 2, 1]), 4),
        (IntDistribution(-3, 3), 7),
        (IntDistribution(1, 10**9, log=True), 12),
        (FloatDistribution(-1, 1), 12),
        (FloatDistribution(0, 1, step=0.25), 5),
    ],
)
def test_a_space_of_one_parameter(distribution, values):
    study = study_with(**SHORT)
    trials = ask(study, {"x": distribution}, 12, lambda trial: len(str(trial.params["x"])))
    assert len(set(genotypes(trials))) == values


def test_choices_that_python_has_equal_are_one():
    """Optuna stores the first of them, whichever was proposed."""
    space = {
        "x": CategoricalDistribution([1, True, 1.0, 0]),
        "y": CategoricalDistribution(["a", "b"]),
    }
    trials = ask(study_with(**SHORT), space, 4, lambda trial: float(trial.params["x"]))
    assert len(set(genotypes(trials))) == 4


def test_a_space_without_a_choice():
    study = study_with(**SHORT)
    ask(study, {"x": IntDistribution(4, 4)}, 10, total)
    assert {each.params["x"] for each in study.trials} == {4}


@pytest.mark.parametrize("directions", [["minimize"], ["maximize"], ["minimize", "maximize"],
                                        ["maximize", "minimize", "maximize"]])  # fmt: skip
def test_it_goes_the_way_that_each_objective_asks_for(directions):
    def ends(trial):
        # Each objective has a parameter pair of its own.
        return [trial.params[f"x{2 * n}"] + trial.params[f"x{2 * n + 1}"]
                for n in range(len(directions))]  # fmt: skip

    study = study_with(directions=directions, startup_trials=10)
    ask(study, FOURS, 40, ends)
    best = [0 if each == "minimize" else 6 for each in directions]
    assert tuple(best) in {tuple(each.values) for each in study.best_trials}


OUTCOMES = {
    "all the same": lambda _: 0.1,
    "sometimes infinite": lambda trial: math.inf if trial.params["x0"] == 3 else total(trial),
    "sometimes minus infinite": lambda trial: -math.inf if trial.number == 7 else total(trial),
    "always infinite": lambda _: math.inf,
    "all signs of huge": lambda trial: 1e308 * (-1) ** trial.params["x1"],
    "a huge outlier": lambda trial: 1e12 if trial.number == 3 else total(trial),
    "four hundred decades": lambda trial: 10.0 ** (100 * trial.params["x1"] - 200),
    "pruned without a word": lambda _: None,
    "pruned now and then": lambda trial: total(trial) if trial.number % 3 else None,
    "not a number": lambda _: math.nan,
    "not a number now and then": lambda trial: math.nan if trial.number % 3 else total(trial),
}


@pytest.mark.parametrize("name", OUTCOMES)
@pytest.mark.filterwarnings("ignore:The value nan is not acceptable")
def test_no_outcome_ends_a_study(name):
    study = study_with(**SHORT)
    trials = ask(study, FOURS, 20, OUTCOMES[name])
    assert len(set(genotypes(trials))) == 20
    assert all(each.state.is_finished() for each in trials)


@pytest.mark.parametrize("outcome", [math.inf, 1e308])
def test_what_is_infinitely_bad_is_kept_away_from(outcome):
    study = study_with(startup_trials=12)
    trials = ask(study, FOURS, 40, lambda t: outcome if t.params["x0"] != 3 else t.params["x1"])
    assert np.mean([each.params["x0"] == 3 for each in trials[12:]]) > 0.6


def test_one_outlier_does_not_blind_it():
    def value(trial):
        return 1e9 if trial.number == 4 else total(trial)

    study = study_with(startup_trials=14)
    ask(study, FOURS, 30, value)
    assert study.best_value <= 2


@settings(max_examples=15, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 4), min_size=1, max_size=3),
    startup=st.integers(1, 30),
    batch=st.integers(1, 9),
    objectives=st.integers(1, 2),
)
def test_a_space_is_used_up_before_anything_comes_again(sizes, startup, batch, objectives):
    space = {f"x{n}": IntDistribution(0, size - 1) for n, size in enumerate(sizes)}
    study = study_with(
        directions=["minimize"] * objectives, startup_trials=startup, batch_size=batch
    )
    every = math.prod(sizes)
    trials = ask(study, space, every + 3, lambda trial: [total(trial), -total(trial)][:objectives])
    assert len(set(genotypes(trials[:every]))) == every


def test_a_larger_space_is_used_up_when_everything_is_evenly_bad():
    study = study_with(batch_size=16)
    space = {f"x{n}": CategoricalDistribution([0, 1]) for n in range(7)}
    assert len(set(genotypes(ask(study, space, 128, lambda _: 1.0)))) == 128


def test_the_seed_and_the_outcomes_decide_the_proposals():
    def found(seed, outcome=total):
        return genotypes(ask(study_with(seed, startup_trials=8), FOURS, 24, outcome))

    assert found(1) == found(1)
    assert found(1)[:8] != found(2)[:8]
    other = found(1, lambda trial: -total(trial))
    assert found(1)[:8] == other[:8]
    assert found(1)[8:] != other[8:]


def test_failed_trials_are_neither_learnt_from_nor_tried_again():
    study = study_with(startup_trials=4)

    def value(trial):
        x = trial.suggest_int("x", 0, 9)
        return x / (1 - x % 2)

    study.optimize(value, n_trials=10, catch=(ZeroDivisionError,))
    assert sorted(each.params["x"] for each in study.trials) == list(range(10))
    assert sum(each.state is TrialState.FAIL for each in study.trials) == 5


def test_what_is_enqueued_is_evaluated_and_learnt_from():
    study = study_with(startup_trials=5)
    wished = [dict.fromkeys(FOURS, level) for level in (3, 1, 0)]
    for params in wished:
        study.enqueue_trial(params)
    study.enqueue_trial({"x0": 2})
    ask(study, FOURS, 20, total)
    trials = study.trials
    assert [each.params for each in trials[:3]] == wished
    assert trials[3].params["x0"] == 2
    assert len(set(genotypes(trials))) == 20


def test_a_number_between_two_that_it_proposes_can_be_enqueued():
    study = study_with(startup_trials=4)
    space = {"x": IntDistribution(0, 10**6), "y": FloatDistribution(0, 1)}
    for x in (1, 123_457, 999_999):
        study.enqueue_trial({"x": x, "y": 0.123})
    ask(study, space, 20, lambda trial: trial.params["x"] / 1e6 + trial.params["y"])
    assert study.best_value < 0.15


def test_parameters_of_some_trials_only():
    study = study_with(startup_trials=8)

    def objective(trial):
        value = trial.suggest_int("always", 0, 7)
        if trial.suggest_categorical("branch", [False, True]):
            return value + trial.suggest_int("sometimes", 0, 3)
        return value + 5

    study.optimize(objective, n_trials=40)
    assert study.best_value == 0
    sometimes = [each.params["sometimes"] for each in study.trials if "sometimes" in each.params]
    counts = np.bincount(sometimes, minlength=4)
    assert counts.max() - counts.min() <= 1


@pytest.mark.parametrize("state", [TrialState.COMPLETE, TrialState.FAIL])
def test_a_range_that_changes_in_mid_study(state):
    study = study_with(startup_trials=4)
    space = {"x": IntDistribution(0, 5), "y": CategoricalDistribution(["a", "b"])}
    wider = space | {"x": IntDistribution(-10, 20)}
    ask(study, space, 10, lambda trial: trial.params["x"])
    trial = study.ask(wider)
    study.tell(trial, 1.0 if state is TrialState.COMPLETE else None, state=state)
    found = ask(study, wider, 15, lambda trial: trial.params["x"])
    assert all(wider["x"].low <= each.params["x"] <= wider["x"].high for each in found)
    ask(study, space, 3, lambda trial: trial.params["x"])


@pytest.mark.parametrize("option", ["startup_trials", "batch_size"])
def test_numbers_below_one_are_refused(option):
    with pytest.raises(ValueError, match=rf"`{option} >= 1` must hold, but got {option}=0"):
        gn.PredictorSampler(**{option: 0})


def test_a_distribution_of_another_kind_is_refused():
    sampler = gn.PredictorSampler()
    study = optuna.create_study(sampler=sampler)
    space = {"x": object()}
    with pytest.raises(ValueError, match="PredictorSampler knows no distribution"):
        sampler.sample_relative(study, optuna.trial.create_trial(value=0.0), space)
