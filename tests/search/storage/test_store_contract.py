"""What a store promises, on every kind of database."""

from __future__ import annotations

import uuid

import msgspec
import optuna
import pytest
from sqlalchemy import Connection

from gnv2_nas.errors import InputError, StorageError, StudyError, UnknownNameError
from gnv2_nas.search.storage.database import open_database
from gnv2_nas.search.storage.format import freeze_trial
from gnv2_nas.search.storage.store import Store
from gnv2_nas.search.storage.studies import open_study, study_names
from gnv2_nas.search.storage.trial_reading import REVISION, OptunaReader, TrialReader, trial_reader
from gnv2_nas.search.study.records import Progress, Trial
from gnv2_nas.workflows.references import find_network
from tests.search.study_helpers import (
    SETTINGS,
    append,
    as_optuna,
    candidate,
    finished,
    latency,
    network,
    networks,
    on_board,
    opened,
)  # fmt: skip


@pytest.fixture
def name() -> str:
    """Databases of a server outlive a test, its studies do not meet."""
    return uuid.uuid4().hex


@pytest.fixture
def store(storage: str, name: str) -> Store:
    return opened(storage, name)


@pytest.fixture
def other(store: Store, storage: str, name: str) -> Store:
    """The same study as another process has it."""
    other = opened(storage, name)
    assert other.frozen_trials() == []
    return other


def at(number: int) -> Trial:
    """The trial of that number."""
    return msgspec.structs.replace(candidate(number), number=number)


class TestStore:
    def test_a_stored_trial_comes_back_whole(self, store, storage, name):
        assert append(store, 0, 1) == [0, 1]
        assert store.append(candidate(2, baseline="stock")) == 2
        fresh = open_study(storage, name)
        assert fresh.frozen_trials() == store.frozen_trials()
        assert fresh.record() == store.record()
        assert name in study_names(storage)
        stored = [candidate(0), candidate(1), candidate(2, baseline="stock")]
        for number, (kept, given) in enumerate(zip(fresh.trials(), stored, strict=True)):
            params = {} if given.baseline else finished(number).params
            summary = {"cpu": given.latency.drop_samples()}
            assert kept == msgspec.structs.replace(
                given, number=number, params=params, latencies=summary, sampled=kept.sampled
            )

    def test_both_readers_read_the_same(self, store, storage, name):
        append(store, 0)
        append(store, 1, quality=None)  # a score that does not compare has no value
        study = as_optuna(storage, name)
        study.add_trial(finished(2))  # another program's
        append(store, 3)
        assert open_database(storage).get_current_version() == REVISION
        slow = OptunaReader(study).read_new()
        assert slow == store.frozen_trials()
        for one, same in zip(slow, store.frozen_trials(), strict=True):
            assert list(one.params) == list(same.params)
        assert [trial.state.name for trial in slow] == ["COMPLETE", "PRUNED", "COMPLETE"]
        assert slow[0].system_attrs["constraints"] == [-0.25, 0.5]

    def test_trials_of_other_programs_are_counted_and_left_alone(self, store, storage, name):
        study = as_optuna(storage, name)
        append(store, 0)
        running = study.ask()
        study.add_trial(finished(1))
        assert append(store, 2) == [3]
        study.tell(running, [1.0, 2.0])
        assert [trial.number for trial in store.frozen_trials()] == [0, 3]
        assert [trial.number for trial in open_study(storage, name).frozen_trials()] == [0, 3]
        assert store.new_trials() == []

    def test_others_tell_their_news_once(self, store, other):
        append(store, 0)
        append(other, 1, 2)
        append(store, 3)
        assert [trial.number for trial in other.new_trials()] == [0, 3]
        assert other.new_trials() == []
        assert [trial.number for trial in store.new_trials()] == [1, 2]
        assert store.frozen_trials() == other.frozen_trials()
        append(other, 4)
        assert len(store.record().trials) == 5
        assert [trial.architecture for trial in store.new_trials()] == [network(4)]

    def test_a_network_that_another_process_stored_first_is_not_stored_again(
        self, store, other, storage, name
    ):
        append(store, 0, 1, 2)
        assert append(other, 1, 3) == [1, 3]
        assert [trial.number for trial in other.new_trials()] == [0, 2]
        # Nor when the other was told of it while it evaluated the network itself.
        assert append(other, 2, 3, 4) == [2, 3, 4]
        assert networks(storage, name) == [0, 1, 2, 3, 4]

    def test_a_label_is_not_lost_to_a_network_without_one(self, store, other):
        append(store, 0)
        assert other.append(candidate(0, baseline="stock")) == 1
        assert [each.baseline for each in other.trials()] == ["", "stock"]
        assert append(store, 0) == [0]
        assert other.append(candidate(1, baseline="stock")) == 2
        assert append(store, 1) == [2]

    def test_a_later_latency_replaces_the_first_and_what_follows_from_it(
        self, store, storage, name
    ):
        append(store, 0, 1, ms=2.5)
        assert not store.trials()[1].feasible
        better = latency(1, ms=1.75)
        store.save_latencies([(at(1), better)])
        store.save_latencies([(at(1), latency(1, ms=1.5))])
        for each in (store, open_study(storage, name)):
            first, second = each.record().trials
            assert (first.latency.ms, list(first.broken_budgets)) == (2.5, ["2ms"])
            assert (second.latency.ms, second.feasible) == (1.5, True)
            assert second.latency.wall_ms == ()
        # The trial stays as it was stored: samplers have learnt from it.
        assert as_optuna(storage, name).trials[1].values[1] == 2.5

    def test_a_later_latency_belongs_to_a_trial_and_its_network(self, store):
        append(store, 0)
        with pytest.raises(StudyError, match="has no finished trial 7"):
            store.save_latencies([(at(7), latency(7))])
        with pytest.raises(
            StudyError, match=f"trial 0 .* but the latency is that of {network(1).id}"
        ):
            store.save_latencies([(at(0), latency(1))])

    def test_totals_of_several_processes_add_up(self, store, other):
        assert store.progress == other.progress == Progress()
        store.save_progress(Progress(10, 2, 1))
        other.save_progress(Progress(5, 1, 0))
        store.save_progress(Progress(12, 2, 2))
        assert store.progress == other.progress == Progress(17, 3, 2)
        assert store.record().progress.rejected == 3

    def test_milliseconds_are_those_of_the_first_measured_trial(self, store, other, storage, name):
        slow = msgspec.structs.replace(latency(1), ms=3.0, ci95=(2.7, 3.6))
        assert store.in_reference([]) == []
        store.append(candidate(0, latencies={}, sampled=finished(0)))
        assert other.in_reference([slow]) == [slow]
        append(store, 1)
        (expressed,) = other.in_reference([slow])
        assert (expressed.ms, *expressed.ci95) == pytest.approx((1.5, 1.35, 1.8))
        # Another process may have measured before the first trial was there.
        other.append(candidate(2, latencies={"cpu": slow}, sampled=finished(2)))
        for each in (store, open_study(storage, name)):
            assert each.trials()[2].latency.ms == pytest.approx(1.5)
            assert each.record().fingerprint == slow.fingerprint

    def test_an_empty_study_made_anew_with_other_settings_refuses_the_first(
        self, storage, store, name
    ):
        assert store.settings == SETTINGS
        another = opened(storage, name, settings=on_board(SETTINGS))
        with pytest.raises(StudyError, match="was made anew with other settings"):
            append(store, 0)
        assert append(another, 1) == [0]
        with pytest.raises(StudyError, match="was made anew with other settings"):
            append(store, 2)
        with pytest.raises(StudyError, match="was made with device board, not cpu"):
            opened(storage, name)

    def test_a_study_that_was_deleted_meanwhile_takes_no_trial(self, storage, store, name):
        append(store, 0)
        study = as_optuna(storage, name)
        optuna.delete_study(study_name=name, storage=study._storage)
        with pytest.raises(StorageError, match="another program deleted it"):
            append(store, 1)
        with pytest.raises(UnknownNameError):
            open_study(storage, name)

    def test_a_network_stored_twice_is_one_trial_for_every_reader(self, store, storage, name):
        """As by two processes of an earlier version at one moment."""
        append(store, 0, 1)
        study = as_optuna(storage, name)
        study.add_trial(freeze_trial(candidate(0, sampled=finished(0)), SETTINGS.objectives))
        assert append(store, 2) == [3]
        database = open_database(storage)
        slow = Store(database, name, storage, reader=OptunaReader(study))
        for each in (store, slow, open_study(storage, name)):
            assert [trial.number for trial in each.frozen_trials()] == [0, 1, 3]
            assert [each.number for each in each.record().trials] == [0, 1, 3]
            assert append(each, 0) == [0]
        with pytest.raises(InputError, match="has no trial 2"):
            find_network(f"{name}:2", storage)

    @pytest.mark.parametrize(("newest", "seen"), [(0, []), (3, [3, 5]), (9, [0, 2, 3, 5])])
    def test_only_the_newest_trials_are_read_where_they_are_enough(
        self, store, storage, name, newest, seen
    ):
        study = as_optuna(storage, name)
        append(store, 0)
        study.add_trial(optuna.trial.create_trial(state=optuna.trial.TrialState.FAIL))
        append(opened(storage, f"{name}-2"), 0)
        append(store, 1, 2)
        study.add_trial(optuna.trial.create_trial(state=optuna.trial.TrialState.FAIL))
        append(store, 3)
        database = open_database(storage)
        slow = Store(database, name, storage, reader=OptunaReader(study, newest))
        readers = (slow, open_study(storage, name, newest=newest))
        for later in ([], [6]):
            append(store, *later)
            for each in readers:
                assert [trial.number for trial in each.frozen_trials()] == [*seen, *later]

    def test_a_network_that_another_process_stores_at_the_same_moment(self, other, storage, name):
        database = open_database(storage)
        late = _Late(other, trial_reader(database, as_optuna(storage, name)))
        store = Store(database, name, storage, reader=late)
        late.offered = [1, 2]
        assert append(store, 2, 3) == [1, 2]
        assert networks(storage, name) == [1, 2, 3]
        assert [trial.number for trial in store.new_trials()] == [0]
        assert [trial.number for trial in other.new_trials()] == [2]


class _Late:
    """Reads; immediately afterwards, another process stores networks."""

    def __init__(self, other: Store, reader: TrialReader) -> None:
        self.other, self.reader = other, reader
        self.offered: list[int] = []

    def read_new(self) -> list[optuna.trial.FrozenTrial]:
        trials, offered = self.reader.read_new(), self.offered
        self.offered = []
        append(self.other, *offered)
        return trials

    def has_news(self, connection: Connection) -> bool:
        return self.reader.has_news(connection)

    def is_empty(self) -> bool:
        return self.reader.is_empty()
