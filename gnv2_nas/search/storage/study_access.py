"""How a store reaches its study: transactions on Optuna's tables, or Optuna's own calls."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import optuna
from optuna.trial import FrozenTrial
from sqlalchemy import Connection, Engine, insert, select, update

from gnv2_nas.errors import StorageError
from gnv2_nas.search.storage.database import close_with
from gnv2_nas.search.storage.transactions import NONE_YET, Last, StudyAccess
from gnv2_nas.search.storage.trial_rows import (
    FINISHED,
    REVISION,
    STUDIES,
    STUDY_ATTRIBUTES,
    TRIALS,
    insert_trial,
    read_trials,
)


class TableStudy:
    """A study of a database whose tables are of `optuna_tables.REVISION`."""

    def __init__(self, engine: Engine, study_id: int) -> None:
        self._engine, self._study_id = engine, study_id
        close_with(self, engine)

    @contextmanager
    def reading(self) -> Iterator[TableTransaction]:
        with self._engine.connect() as connection:
            yield TableTransaction(connection, self._study_id)

    @contextmanager
    def writing(self) -> Iterator[TableTransaction]:
        with self._engine.connect() as connection:
            self._lock(connection)
            yield TableTransaction(connection, self._study_id)
            connection.commit()

    def _lock(self, connection: Connection) -> None:
        """As Optuna does before it numbers a trial: other programs on the study wait."""
        if connection.dialect.name == "sqlite":
            # Its lock is the file's, and a later one could find that others were quicker.
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        row = select(STUDIES.c.study_id).where(STUDIES.c.study_id == self._study_id)
        if connection.execute(row.with_for_update()).first() is None:
            raise StorageError("the study is no longer in its database; somebody has deleted it")

    def renew(self) -> None:
        self._engine.dispose()


class TableTransaction:
    """One transaction of a `TableStudy`."""

    def __init__(self, connection: Connection, study_id: int) -> None:
        self._connection, self._study_id = connection, study_id

    def last(self) -> Last:
        newest = (
            select(TRIALS.c.trial_id, TRIALS.c.number)
            .where(TRIALS.c.study_id == self._study_id)
            .order_by(TRIALS.c.trial_id.desc())
            .limit(1)
        )
        row = self._connection.execute(newest).first()
        return NONE_YET if row is None else Last(*row)

    def newer(self, after: Last) -> list[FrozenTrial]:
        return read_trials(self._connection, self._study_id, after.trial_id)

    def append(self, trial: FrozenTrial, after: Last) -> Last:
        trial.number = after.number + 1
        return Last(insert_trial(self._connection, self._study_id, trial), trial.number)

    def attributes(self) -> dict[str, Any]:
        columns = STUDY_ATTRIBUTES.c
        rows = select(columns.key, columns.value_json).where(columns.study_id == self._study_id)
        return {key: json.loads(text) for key, text in self._connection.execute(rows)}

    def set_attribute(self, key: str, value: Any) -> None:
        columns, text = STUDY_ATTRIBUTES.c, json.dumps(value)
        there = (columns.study_id == self._study_id) & (columns.key == key)
        change = update(STUDY_ATTRIBUTES).where(there).values(value_json=text)
        if self._connection.execute(change).rowcount == 0:
            row = {"study_id": self._study_id, "key": key, "value_json": text}
            self._connection.execute(insert(STUDY_ATTRIBUTES).values(row))


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
