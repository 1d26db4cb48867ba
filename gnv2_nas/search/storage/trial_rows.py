"""Finished trials as rows of Optuna's tables (revision `REVISION`), and rows as finished trials."""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from optuna.distributions import (
    BaseDistribution,
    distribution_to_json,
    json_to_distribution,
)  # fmt: skip
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import (
    Column,
    Connection,
    DateTime,
    Enum,
    Float,
    ForeignKey,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    insert,
    select,
)  # fmt: skip

REVISION = "v3.2.0.a"
"""Alembic's name for the tables below."""

METADATA = MetaData()

STUDIES = Table("studies", METADATA, Column("study_id", Integer, primary_key=True))

TRIALS = Table(
    "trials",
    METADATA,
    Column("trial_id", Integer, primary_key=True),
    Column("number", Integer),
    Column("study_id", Integer, ForeignKey("studies.study_id")),
    Column("state", Enum(TrialState)),
    Column("datetime_start", DateTime),
    Column("datetime_complete", DateTime),
)
PARAMS = Table(
    "trial_params",
    METADATA,
    Column("param_id", Integer, primary_key=True),
    Column("trial_id", Integer, ForeignKey("trials.trial_id")),
    Column("param_name", String(512)),
    Column("param_value", Float(53)),
    Column("distribution_json", Text),
)
VALUES = Table(
    "trial_values",
    METADATA,
    Column("trial_value_id", Integer, primary_key=True),
    Column("trial_id", Integer, ForeignKey("trials.trial_id")),
    Column("objective", Integer),
    Column("value", Float(53)),
    Column("value_type", Enum("FINITE", "INF_POS", "INF_NEG", name="trialvaluetype")),
)


def _attributes(name: str, owner: Column[int]) -> Table:
    """A table `<name>s` of JSON by key, of a study or a trial."""
    return Table(
        f"{name}s",
        METADATA,
        Column(f"{name}_id", Integer, primary_key=True),
        Column(owner.name, Integer, ForeignKey(owner)),
        Column("key", String(512)),
        Column("value_json", Text),
    )


STUDY_ATTRIBUTES = _attributes("study_user_attribute", STUDIES.c.study_id)
USER_ATTRIBUTES = _attributes("trial_user_attribute", TRIALS.c.trial_id)
SYSTEM_ATTRIBUTES = _attributes("trial_system_attribute", TRIALS.c.trial_id)


CHUNK = 500
"""Trials read at once: what is held twice in memory."""

FINISHED = (TrialState.COMPLETE, TrialState.PRUNED)


def insert_trial(connection: Connection, study_id: int, trial: FrozenTrial) -> int:
    """Write a finished trial whose values are finite; returns its id in the database."""
    row = {
        "study_id": study_id,
        "number": trial.number,
        "state": trial.state,
        "datetime_start": _utc(trial.datetime_start),
        "datetime_complete": _utc(trial.datetime_complete),
    }
    (trial_id,) = connection.execute(insert(TRIALS).values(row)).inserted_primary_key or (-1,)
    parts: tuple[tuple[Table, list[dict[str, Any]]], ...] = (
        (VALUES, [
            {"objective": objective, "value": value, "value_type": "FINITE"}
            for objective, value in enumerate(trial.values or ())
        ]),
        (PARAMS, [
            {
                "param_name": name,
                "param_value": trial.distributions[name].to_internal_repr(value),
                "distribution_json": distribution_to_json(trial.distributions[name]),
            }
            for name, value in trial.params.items()
        ]),
        (USER_ATTRIBUTES, _attribute_rows(trial.user_attrs)),
        (SYSTEM_ATTRIBUTES, _attribute_rows(trial.system_attrs)),
    )  # fmt: skip
    for table, rows in parts:
        if rows:
            connection.execute(insert(table), [{"trial_id": trial_id, **row} for row in rows])
    return int(trial_id)


def _attribute_rows(attributes: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"key": key, "value_json": json.dumps(value)} for key, value in attributes.items()]


def read_trials(connection: Connection, study_id: int, after: int) -> list[FrozenTrial]:
    """The finished trials of a study whose id in the database is above `after`, oldest first."""
    columns = TRIALS.c
    rows = connection.execute(
        select(
            columns.trial_id, columns.number, columns.state, columns.datetime_start,
            columns.datetime_complete,
        )
        .where(columns.study_id == study_id, columns.trial_id > after, columns.state.in_(FINISHED))
        .order_by(columns.trial_id)
    ).all()  # fmt: skip
    distributions = _Distributions()
    trials: list[FrozenTrial] = []
    for start in range(0, len(rows), CHUNK):
        trials += _whole_trials(connection, rows[start : start + CHUNK], distributions)
    return trials


class _Distributions(dict[str, BaseDistribution]):
    """JSON → distribution: the same few dozen stand in every trial."""

    def __missing__(self, text: str) -> BaseDistribution:
        distribution = self[text] = json_to_distribution(text)
        return distribution


def _whole_trials(
    connection: Connection, rows: Sequence[Any], distributions: _Distributions
) -> list[FrozenTrial]:
    # By range and not by list: trials of other studies in between are few, and are left aside.
    within = (rows[0].trial_id, rows[-1].trial_id)
    params = _parts(
        connection, within, PARAMS, "param_id", "param_name", "param_value", "distribution_json"
    )
    values = _parts(connection, within, VALUES, "objective", "value")
    user, system = (
        _parts(connection, within, table, table.primary_key.columns.keys()[0], "key", "value_json")
        for table in (USER_ATTRIBUTES, SYSTEM_ATTRIBUTES)
    )
    trials = []
    for row in rows:
        # Names are the same in every trial, and so is their memory.
        genes = [
            (sys.intern(name), value, distributions[text])
            for _, name, value, text in params[row.trial_id]
        ]
        trials.append(
            FrozenTrial(
                number=row.number,
                trial_id=row.trial_id,
                state=row.state,
                value=None,
                values=[value for _, value in values[row.trial_id]] or None,
                datetime_start=_local(row.datetime_start),
                datetime_complete=_local(row.datetime_complete),
                params={name: kind.to_external_repr(value) for name, value, kind in genes},
                distributions={name: kind for name, _, kind in genes},
                user_attrs={key: json.loads(text) for _, key, text in user[row.trial_id]},
                system_attrs={key: json.loads(text) for _, key, text in system[row.trial_id]},
                intermediate_values={},
            )
        )
    return trials


def _parts(
    connection: Connection, within: tuple[int, int], table: Table, order: str, *names: str
) -> dict[int, list[Any]]:
    """Trial → its rows of a table: the column `order`, by which they are sorted, and `names`."""
    query = select(table.c.trial_id, table.c[order], *(table.c[name] for name in names))
    found: dict[int, list[Any]] = defaultdict(list)
    for row in connection.execute(query.where(table.c.trial_id.between(*within))).all():
        found[row[0]].append(row[1:])
    for each in found.values():
        each.sort()
    return found


def _utc(moment: datetime | None) -> datetime | None:
    return None if moment is None else moment.astimezone(UTC).replace(tzinfo=None)


def _local(moment: datetime | None) -> datetime | None:
    return None if moment is None else moment.replace(tzinfo=UTC).astimezone().replace(tzinfo=None)
