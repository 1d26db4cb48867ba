"""What is written to PostgreSQL in bulk against what Optuna itself writes."""

from __future__ import annotations

import threading

import optuna
import pytest
from optuna.trial import create_trial

from gnv2_nas.search.storage.database import open_database
from gnv2_nas.search.storage.trial_writing import BulkWriter, study_writer
from tests.search.study_helpers import GENES, finished

DIRECTIONS = ["maximize", "minimize"]


@pytest.fixture
def study(postgres, request):
    storage = open_database(postgres.url)
    name = request.node.name
    made = optuna.create_study(storage=storage, study_name=name, directions=DIRECTIONS)
    yield made
    optuna.delete_study(study_name=name, storage=storage)
    storage.engine.dispose()


def writer(study):
    return study_writer(study._storage._backend, study)


def pruned(number):
    done = finished(number)
    return create_trial(
        state=optuna.trial.TrialState.PRUNED, params=done.params, distributions=GENES,
        user_attrs={"architecture": "½", "counts": {"macs": [1, 2.5, None]}},
        constraints={"macs": 0.5},
    )  # fmt: skip


@pytest.mark.parametrize("make", [finished, pruned])
def test_optuna_reads_what_was_written_as_if_it_had_written_it(study, make):
    assert isinstance(writer(study), BulkWriter)
    write = writer(study).write
    for number in range(4):
        (study.add_trial if number % 2 else write)(make(number // 2))
    trials = study.get_trials()
    assert [each.number for each in trials] == [0, 1, 2, 3]
    for ours, theirs in (trials[:2], trials[2:]):
        for field in (
            "state", "values", "params", "distributions", "user_attrs", "system_attrs",
            "constraints", "intermediate_values",
        ):  # fmt: skip
            assert getattr(ours, field) == getattr(theirs, field), field
        assert abs(ours.datetime_start - theirs.datetime_start).total_seconds() < 60
        assert abs(ours.datetime_complete - theirs.datetime_complete).total_seconds() < 60


def test_programs_that_write_at_the_same_time_get_different_numbers(study):
    def write(add):
        for number in range(10):
            add(finished(number))

    threads = [
        threading.Thread(target=write, args=[add])
        for add in (writer(study).write, writer(study).write, study.add_trial)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [each.number for each in study.get_trials()] == list(range(30))


def test_what_cannot_be_written_leaves_nothing(study):
    infinite = create_trial(values=[1.0, float("inf")], params={}, distributions={})
    with pytest.raises(ValueError, match="all values of a trial must be finite"):
        writer(study).write(infinite)
    with pytest.raises(KeyError):
        BulkWriter(study._storage._backend.engine, 10**6).write(finished(0))
    assert study.get_trials() == []


def test_attributes_replace_those_of_their_keys_in_one_transaction(study):
    study.set_user_attr("of another program", [1])
    study.set_user_attr("kept", {"ms": 1.5})
    writer(study).set_attributes({"kept": {"ms": 2.5, "name": "½"}, "new": None})
    there = {"of another program": [1], "kept": {"ms": 2.5, "name": "½"}, "new": None}
    assert study.user_attrs == there
    with pytest.raises(TypeError, match="not JSON serializable"):
        writer(study).set_attributes({"kept": 0, "new": object()})
    assert study.user_attrs == there
    with pytest.raises(KeyError):
        BulkWriter(study._storage._backend.engine, 10**6).set_attributes({"new": 0})


def test_programs_that_set_one_attribute_at_the_same_time_leave_one_of_their_values(study):
    def write(value):
        for _ in range(10):
            writer(study).set_attributes({"one": value, "other": value})

    threads = [threading.Thread(target=write, args=[value]) for value in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = study.user_attrs
    assert found["one"] == found["other"] in range(3)
