"""A `PredictorSampler` in threads, between processes and for more than one study."""

from __future__ import annotations

import copy
import pickle

import optuna
import pytest
from optuna.distributions import CategoricalDistribution, IntDistribution
from optuna.storages import InMemoryStorage, RDBStorage
from sqlalchemy import NullPool

import gnv2_nas as gn
from tests.search.sampler.sampler_helpers import (
    EVERY_KIND,
    FOURS,
    ask,
    genotypes,
    study_with,
    total,
)


def in_file(path, sampler):
    storage = RDBStorage(f"sqlite:///{path}", engine_kwargs={"poolclass": NullPool})
    return optuna.create_study(
        study_name="demo", storage=storage, sampler=sampler, load_if_exists=True
    )


def pickled(sampler):
    return pickle.loads(pickle.dumps(sampler))  # noqa: S301


@pytest.mark.parametrize("finished", [0, 3, 11, 22])
@pytest.mark.parametrize("copied", [copy.deepcopy, pickled])
def test_a_copy_goes_on_as_the_original_would(copied, finished):
    study = study_with(startup_trials=8)
    ask(study, FOURS, finished, total)
    going_on = optuna.create_study(
        study_name=study.study_name, storage=InMemoryStorage(), sampler=copied(study.sampler)
    )
    going_on.add_trials(study.trials)
    assert genotypes(ask(going_on, FOURS, 12, total)) == genotypes(ask(study, FOURS, 12, total))


def test_copies_that_are_reseeded_go_different_ways():
    study = study_with(startup_trials=8)
    ask(study, FOURS, 3, total)
    found = []
    for _ in range(2):
        worker = copy.deepcopy(study)
        worker.sampler = copy.deepcopy(study.sampler)
        worker.sampler.reseed_rng()
        found.append(genotypes(ask(worker, FOURS, 5, total)))
    assert found[0] != found[1]


def test_threads_share_the_design_and_never_try_the_same():
    study = study_with(startup_trials=16, batch_size=4)

    def objective(trial):
        return sum(trial.suggest_categorical(name, [0, 1, 2, 3]) for name in FOURS)

    study.optimize(objective, n_trials=48, n_jobs=2)
    trials = study.trials
    assert len(set(genotypes(trials))) == 48
    assert study.best_value <= 2
    # A design made anew for each trial would be random: some level not there at all. Which trials
    # come before the first that is known to the sampler is up to the threads.
    for name in FOURS:
        assert {each.params[name] for each in trials[:16]} == {0, 1, 2, 3}


def test_trials_asked_for_together_differ_before_their_parameters_are_suggested():
    study = study_with(startup_trials=4, batch_size=2)
    space = {"x": IntDistribution(0, 3), "y": CategoricalDistribution(["a", "b", "c"])}
    ask(study, space, 4, lambda trial: trial.params["x"])
    together = [study.ask() for _ in range(8)]
    for trial in together:
        trial.suggest_int("x", 0, 3)
        trial.suggest_categorical("y", ["a", "b", "c"])
    assert len(set(genotypes(study.trials))) == 12


def test_a_fresh_sampler_goes_on_from_a_database(tmp_path):
    space = {name: EVERY_KIND[name] for name in ("mixed", "tenths", "log")}
    ask(in_file(tmp_path / "a.db", gn.PredictorSampler(seed=0)), space, 6, lambda t: t.number)
    again = in_file(tmp_path / "a.db", gn.PredictorSampler(seed=1, startup_trials=6))
    trial = again.ask(space)
    assert trial.number == 6
    assert again.sampler.expected(6) is not None
    assert len(set(genotypes(again.trials))) == 7


def test_two_samplers_on_one_study():
    storage = InMemoryStorage()
    studies = [
        optuna.create_study(
            study_name="demo", storage=storage, load_if_exists=True,
            sampler=gn.PredictorSampler(seed=seed, startup_trials=12),
        )
        for seed in (1, 2)
    ]  # fmt: skip
    for _ in range(20):
        for study in studies:
            ask(study, FOURS, 1, total)
    assert len(set(genotypes(studies[0].trials))) == 40
    assert studies[0].best_value <= 2


@pytest.mark.parametrize("turns", [1, 12])
def test_one_sampler_for_two_studies_mixes_nothing_up(turns):
    """Both have trials 0 to 23: outcomes of the one must not be read as those of the other."""
    sampler = gn.PredictorSampler(seed=0, startup_trials=8)
    studies = [optuna.create_study(sampler=sampler, direction=each)
               for each in ("minimize", "maximize")]  # fmt: skip
    for _ in range(24 // turns):
        for study in studies:
            ask(study, FOURS, turns, total)
    assert [len(set(genotypes(study.trials))) for study in studies] == [24, 24]
    assert studies[0].best_value <= 2
    assert studies[1].best_value >= 16


def test_what_is_expected_is_known_until_the_trial_is_finished():
    study = study_with(directions=["minimize", "maximize"], startup_trials=30)
    ask(study, FOURS, 30, lambda trial: [total(trial), 100 + total(trial)])
    for _ in range(5):
        trial = study.ask(FOURS)
        expected = study.sampler.expected(trial.number)
        truth = total(trial)
        assert expected.means == pytest.approx([truth, 100 + truth], abs=0.5)
        assert all(0 <= std < 1 for std in expected.stds)
        study.tell(trial, [truth, 100 + truth])
        assert study.sampler.expected(trial.number) is None
    assert study.sampler.expected(999) is None


def test_the_initial_design_expects_nothing():
    study = study_with(startup_trials=6)
    for trial in (study.ask(FOURS) for _ in range(6)):
        assert study.sampler.expected(trial.number) is None
        study.tell(trial, total(trial))
    assert study.sampler.expected(study.ask(FOURS).number) is not None


def test_corrected_values_are_those_that_models_see():
    def expected_after(correct):
        study = study_with(startup_trials=20)
        ask(study, FOURS, 20, total)
        for trial in study.trials:
            if correct:
                study.sampler.correct(trial.number, [50 - trial.value], {})
        trial = study.ask(FOURS)
        return total(trial), study.sampler.expected(trial.number).means[0]

    truth, mean = expected_after(correct=False)
    assert truth <= 4
    assert mean == pytest.approx(truth, abs=3)
    truth, mean = expected_after(correct=True)
    assert truth >= 14
    assert mean == pytest.approx(50 - truth, abs=3)


def test_corrected_constraints_are_those_that_models_see():
    def share_of(level):
        study = study_with(startup_trials=20)
        for trial in (study.ask(FOURS) for _ in range(20)):
            trial.set_constraint("budget", 1.0)
            study.tell(trial, -trial.params["x1"])
        for trial in study.trials:
            value = 1.0 if trial.params["x0"] != level else -1.0
            study.sampler.correct(trial.number, [-trial.params["x1"]], {"budget": value})
        trials = [study.ask(FOURS) for _ in range(8)]
        return sum(each.params["x0"] == level for each in trials) / 8

    assert share_of(3) > 0.7
    assert share_of(0) > 0.7
