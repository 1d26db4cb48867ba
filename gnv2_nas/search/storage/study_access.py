"""How a store reaches its study: transactions on Optuna's tables, or Optuna's own calls."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import optuna
from optuna.trial import FrozenTrial

from gnv2_nas.search.storage.optuna_tables import REVISION
from gnv2_nas.search.storage.table_study import TableStudy
from gnv2_nas.search.storage.transactions import Last, StudyAccess
from gnv2_nas.search.storage.trial_rows import FINISHED


def study_access(storage: optuna.storages.RDBStorage, name: str) -> StudyAccess:
    """The quick way where the tables are of the revision it knows, else Optuna's own."""
    study_id = storage.get_study_id_from_name(name)
    if storage.get_current_version() == REVISION:
        return TableStudy(storage.engine, study_id)
    return PublicStudy(storage, study_id)


class PublicStudy:
    """A study through Optuna's public calls alone.

    Each is a transaction of its own: two processes may both store one network, and a parameter
    costs a query or three.
    """

    def __init__(self, storage: optuna.storages.RDBStorage, study_id: int) -> None:
        self._engine = storage.engine
        self._storage = optuna.storages.get_storage(storage)  # with Optuna's cache
        self._study_id = study_id

    @contextmanager
    def reading(self) -> Iterator[PublicStudy]:
        yield self

    writing = reading

    def renew(self) -> None:
        self._engine.dispose()

    def last(self) -> Last:
        number = self._storage.get_n_trials(self._study_id) - 1
        return Last(number, number)

    def newer(self, after: Last) -> list[FrozenTrial]:
        trials = self._storage.get_all_trials(self._study_id, deepcopy=False, states=FINISHED)
        return [trial for trial in trials if trial.number > after.number]

    def append(self, trial: FrozenTrial, after: Last) -> Last:  # noqa: ARG002
        trial_id = self._storage.create_new_trial(self._study_id, template_trial=trial)
        number = self._storage.get_trial_number_from_id(trial_id)
        return Last(number, number)

    def attributes(self) -> dict[str, Any]:
        return self._storage.get_study_user_attrs(self._study_id)

    def set_attribute(self, key: str, value: Any) -> None:
        self._storage.set_study_user_attr(self._study_id, key, value)
