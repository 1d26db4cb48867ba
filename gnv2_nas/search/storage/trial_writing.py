"""Finished trials and later latencies written to a study.

Optuna asks PostgreSQL three questions for each parameter, counts the trials of the study, and sets
each attribute of it in a transaction of its own. Where the revision of its tables is known, their
rows are written in a few statements instead.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Protocol

import optuna
import sqlalchemy as sa
from optuna.distributions import distribution_to_json
from optuna.trial import FrozenTrial

from gnv2_nas.search.storage.trial_reading import REVISION, SYSTEM, TRIALS, USER, make_table

_STUDIES = make_table("studies", study_id=sa.Integer)
# The reader's order of columns is not that of the database, and it reads no types of values.
_PARAMS = make_table(
    "trial_params", trial_id=sa.Integer, param_name=sa.Text, param_value=sa.Float(53),
    distribution_json=sa.Text,
)  # fmt: skip
_VALUES = make_table(
    "trial_values", trial_id=sa.Integer, objective=sa.Integer, value=sa.Float(53),
    value_type=sa.Enum("FINITE", name="trialvaluetype"),
)  # fmt: skip
_STUDY_USER = make_table(
    "study_user_attributes", study_id=sa.Integer, key=sa.Text, value_json=sa.Text
)


class StudyWriter(Protocol):
    """Writes to one study; each call is all or nothing where the database can do so."""

    def write(self, trial: FrozenTrial) -> None:
        """Store a finished trial.

        Raises:
            KeyError: the study was deleted.
        """

    def set_attributes(self, attributes: Mapping[str, Any]) -> None:
        """Set user attributes of the study, plain data by key.

        Raises:
            KeyError: the study was deleted.
        """


def study_writer(storage: optuna.storages.RDBStorage, study: optuna.Study) -> StudyWriter:
    """What writes to a study as fast as the database allows."""
    known = storage.get_current_version() == REVISION
    if known and storage.engine.dialect.name == "postgresql":
        study_id = storage.get_study_id_from_name(study.study_name)
        return BulkWriter(storage.engine, study_id)
    return OptunaWriter(study)


class OptunaWriter:
    """Writes by Optuna itself, one attribute at a time."""

    def __init__(self, study: optuna.Study) -> None:
        self.write = study.add_trial
        self._study = study

    def set_attributes(self, attributes: Mapping[str, Any]) -> None:
        for key, value in attributes.items():
            self._study.set_user_attr(key, value)


class BulkWriter:
    """Writes the rows of Optuna's tables as `Study.add_trial` and `Study.set_user_attr` do."""

    def __init__(self, engine: sa.Engine, study_id: int) -> None:
        self._engine, self._study_id = engine, study_id

    def write(self, trial: FrozenTrial) -> None:
        """Store a trial whose values are finite."""
        if not all(map(math.isfinite, trial.values or ())):
            raise ValueError(f"all values of a trial must be finite, but got {trial.values}")
        with self._engine.begin() as connection:
            trial_id = self._write_trial(connection, trial)
            for table, rows in (
                (_PARAMS, _params(trial)),
                (_VALUES, _values(trial)),
                (USER, _attributes(trial.user_attrs)),
                (SYSTEM, _attributes(trial.system_attrs)),
            ):
                if rows:
                    connection.execute(
                        sa.insert(table), [{"trial_id": trial_id, **row} for row in rows]
                    )

    def set_attributes(self, attributes: Mapping[str, Any]) -> None:
        """Replace the rows of all keys in one transaction."""
        if not attributes:
            return
        own = _STUDY_USER.c.study_id == self._study_id
        with self._engine.begin() as connection:
            self._lock_study(connection)
            connection.execute(sa.delete(_STUDY_USER).where(own, _STUDY_USER.c.key.in_(attributes)))
            connection.execute(
                sa.insert(_STUDY_USER),
                [{"study_id": self._study_id, **row} for row in _attributes(attributes)],
            )

    def _write_trial(self, connection: sa.Connection, trial: FrozenTrial) -> int:
        """Write the row of the trial itself, with the next number; returns its id."""
        own = TRIALS.c.study_id == self._study_id
        # Optuna does the same, so that no two trials get one number.
        self._lock_study(connection)
        newest = sa.select(TRIALS.c.number).where(own).order_by(TRIALS.c.trial_id.desc()).limit(1)
        last: int | None = connection.execute(newest).scalar()
        row = {
            "study_id": self._study_id,
            "number": 0 if last is None else last + 1,
            "state": trial.state,
            "datetime_start": _utc(trial.datetime_start),
            "datetime_complete": _utc(trial.datetime_complete),
        }
        trial_id: int = connection.execute(
            sa.insert(TRIALS).values(row).returning(TRIALS.c.trial_id)
        ).scalar_one()
        return trial_id

    def _lock_study(self, connection: sa.Connection) -> None:
        """Have other writers of the study wait until the transaction ends."""
        study = sa.select(_STUDIES).where(_STUDIES.c.study_id == self._study_id).with_for_update()
        if connection.execute(study).first() is None:
            raise KeyError(self._study_id)


def _params(trial: FrozenTrial) -> list[dict[str, Any]]:
    return [
        {
            "param_name": name,
            "param_value": kind.to_internal_repr(trial.params[name]),
            "distribution_json": distribution_to_json(kind),
        }
        for name, kind in trial.distributions.items()
    ]


def _values(trial: FrozenTrial) -> list[dict[str, Any]]:
    return [
        {"objective": number, "value": value, "value_type": "FINITE"}
        for number, value in enumerate(trial.values or ())
    ]


def _attributes(attributes: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [{"key": key, "value_json": json.dumps(value)} for key, value in attributes.items()]


def _utc(local: datetime | None) -> datetime | None:
    """Optuna has local time and stores UTC, both without a time zone."""
    return None if local is None else local.astimezone(UTC).replace(tzinfo=None)
