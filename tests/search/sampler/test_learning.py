"""`PredictorSampler` against chance, where the truth is known."""

from __future__ import annotations

import numpy as np
import optuna
import pytest
from optuna.distributions import CategoricalDistribution, IntDistribution
from optuna.trial import TrialState

import gnv2_nas as gn
from tests.search.sampler.sampler_helpers import additive, ask, total

SEEDS = (0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (1, 2)))


def study_of(sampler, directions=("minimize",)):
    return optuna.create_study(directions=list(directions), sampler=sampler)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_sum_of_twenty_parameters(seed):
    space, value = additive(20, 4, seed)
    best = {}
    for name, sampler in (
        ("predictor", gn.PredictorSampler(seed=seed)),
        ("random", optuna.samplers.RandomSampler(seed=seed)),
    ):
        study = study_of(sampler)
        trials = ask(study, space, 60, value)
        best[name] = study.best_value
    spread = np.std([each.value for each in trials])
    assert best["predictor"] < best["random"] - spread


@pytest.mark.parametrize("seed", SEEDS)
def test_noise_does_not_mislead_it(seed):
    space, value = additive(12, 3, seed)
    noise = np.random.default_rng(seed)

    def noisy(trial):
        trial.set_user_attr("truth", value(trial))
        return value(trial) + 2.0 * noise.standard_normal()

    study = study_of(gn.PredictorSampler(seed=seed))
    trials = ask(study, space, 70, noisy)
    truths = np.array([each.user_attrs["truth"] for each in trials])
    # What it tries in the end is better than the best of the design, by chance and noise alike.
    assert np.median(truths[-20:]) < truths[:20].min()


@pytest.mark.parametrize("seed", SEEDS)
def test_a_front_is_covered_from_end_to_end(seed):
    space = {f"x{n:02d}": IntDistribution(0, 4) for n in range(12)}

    def values(trial):
        levels = np.array(list(trial.params.values()))
        # Size against a quality of diminishing returns.
        return levels.sum(), np.sqrt(levels).sum()

    study = study_of(gn.PredictorSampler(seed=seed), ("minimize", "maximize"))
    ask(study, space, 80, values)
    sizes = sorted(each.values[0] for each in study.best_trials)
    # At random: 15 to 19 networks, from 10 to 38.
    assert len(sizes) >= 30
    assert sizes[0] <= 4
    assert sizes[-1] >= 39
    assert np.diff(sizes).max() <= 6


def with_budget(sampler, prune, trials=60):
    """A sum that shall be large and a weight that shall not, of 16 parameters."""
    study = study_of(sampler, ("maximize",))
    space = {f"x{n:02d}": IntDistribution(0, 3) for n in range(16)}
    for _ in range(trials):
        trial = study.ask(space)
        weight = sum(level for name, level in trial.params.items() if int(name[1:]) % 2)
        trial.set_constraint("weight", weight - 8)
        if prune and weight > 8:
            study.tell(trial, state=TrialState.PRUNED)
        else:
            study.tell(trial, total(trial))
    return study


def keeps(trial):
    return all(value <= 0 for value in trial.constraints.values())


@pytest.mark.parametrize("prune", [True, False])
def test_constraints_are_kept_and_made_use_of(prune):
    study = with_budget(gn.PredictorSampler(seed=0), prune)
    by_chance = with_budget(optuna.samplers.RandomSampler(seed=0), prune)
    kept, usual = ([keeps(each) for each in one.trials] for one in (study, by_chance))
    assert np.mean(kept[20:]) > 1.5 * np.mean(usual)
    # 24 of the even parameters and 8 of the odd is the most there is.
    best = max(each.value for each in study.trials if keeps(each) and each.values)
    assert best >= 30


def test_the_front_within_each_of_several_limits_is_extended_in_turn():
    """A weight of at most 8 is the constraint; half of the trials aim at a weight of at most 2."""
    sampler = gn.PredictorSampler(seed=0, fronts=[{"weight": -6.0}, {}])
    study = with_budget(sampler, prune=False)
    light = [each.constraints["weight"] <= -6 for each in study.trials[20:]]
    assert 15 <= sum(light) <= 25
    best = max(each.value for each in study.trials if each.constraints["weight"] <= -6)
    assert best >= 25  # of 26
    best = max(each.value for each in study.trials if keeps(each))
    assert best >= 30  # of 32


def test_a_constraint_that_is_set_only_where_it_is_broken():
    study = study_of(gn.PredictorSampler(seed=0, startup_trials=10), ("maximize",))
    space = {f"x{n}": IntDistribution(0, 3) for n in range(5)}
    for _ in range(40):
        trial = study.ask(space)
        if trial.params["x0"] == 3:
            trial.set_constraint("not three", 1.0)
        study.tell(trial, total(trial))
    assert max(each.value for each in study.trials if not each.constraints) == 14


def test_a_constraint_that_is_infinite_is_a_constraint_that_is_broken():
    study = study_of(gn.PredictorSampler(seed=0, startup_trials=12), ("maximize",))
    space = {"x": CategoricalDistribution(["works", "crashes"]), "y": IntDistribution(0, 60)}
    for _ in range(40):
        trial = study.ask(space)
        crashes = trial.params["x"] == "crashes"
        trial.set_constraint("runs", np.inf if crashes else -np.inf)
        study.tell(trial, trial.params["y"] + 100 * crashes)
    tried = [each.params["x"] for each in study.trials[12:]]
    assert tried.count("works") >= 20
