"""Finished trials read from a study, each once.

Optuna's tables are read in a few SELECTs where their revision is known, otherwise by Optuna
itself. `TrialCache` keeps what was read and drops the later of two trials of one network.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, Protocol

import optuna
import sqlalchemy as sa
from optuna.distributions import BaseDistribution, json_to_distribution
from optuna.trial import FrozenTrial, TrialState

from gnv2_nas.measurement.records.record import Measurement
from gnv2_nas.search.storage.format import RESULT, is_ours, label_of, latencies_of, network_of

REVISION = "v3.2.0.a"
"""Alembic's name for the revision of the tables below."""
FINISHED = (TrialState.COMPLETE, TrialState.PRUNED)
MAX_TRIALS_A_QUERY = 500
"""Bounds the memory for rows that are not trials yet."""


def make_table(name: str, **types: Any) -> sa.TableClause:
    """A table of Optuna's with some of its columns."""
    return sa.table(name, *(sa.column(each, kind) for each, kind in types.items()))


TRIALS = make_table(
    "trials", trial_id=sa.Integer, number=sa.Integer, study_id=sa.Integer,
    state=sa.Enum(TrialState), datetime_start=sa.DateTime, datetime_complete=sa.DateTime,
)  # fmt: skip
# Rows are sorted by the second column.
_PARAMS = make_table(
    "trial_params", trial_id=sa.Integer, param_id=sa.Integer, param_name=sa.Text,
    param_value=sa.Float(53), distribution_json=sa.Text,
)  # fmt: skip
_VALUES = make_table("trial_values", trial_id=sa.Integer, objective=sa.Integer, value=sa.Float(53))
USER = make_table("trial_user_attributes", trial_id=sa.Integer, key=sa.Text, value_json=sa.Text)
SYSTEM = make_table("trial_system_attributes", trial_id=sa.Integer, key=sa.Text, value_json=sa.Text)


class TrialReader(Protocol):
    """Reads the trials of one study that this package stored."""

    def read_new(self) -> list[FrozenTrial]:
        """Finished trials that were stored since the last call, in the order of their numbers."""

    def has_news(self, connection: sa.Connection) -> bool:
        """Whether `read_new` would find trials; asks within the transaction of a connection."""

    def is_empty(self) -> bool:
        """Whether the study has no trial at all, of whatever program and state."""


def trial_reader(
    storage: optuna.storages.RDBStorage, study: optuna.Study, newest: int | None = None
) -> TrialReader:
    """The fast reader if it knows the tables of the database, else Optuna's own reading.

    Args:
        newest: number of trials to read at first, the last of the study; None for all.
    """
    if storage.get_current_version() == REVISION:
        study_id = storage.get_study_id_from_name(study.study_name)
        return BulkReader(storage.engine, study_id, newest)
    return OptunaReader(study, newest)


class OptunaReader:
    """Reads with `Study.get_trials`."""

    def __init__(self, study: optuna.Study, newest: int | None = None) -> None:
        self._study = study
        self._last = -1 if newest is None else self._count() - newest - 1

    def _count(self) -> int:
        return len(self._study.get_trials(deepcopy=False))

    def read_new(self) -> list[FrozenTrial]:
        trials = self._study.get_trials(deepcopy=False, states=FINISHED)
        new = [trial for trial in trials if trial.number > self._last and is_ours(trial)]
        self._last = max((trial.number for trial in new), default=self._last)
        return new

    def has_news(self, connection: sa.Connection) -> bool:  # noqa: ARG002
        return False  # Optuna reads in transactions of its own

    def is_empty(self) -> bool:
        return not self._count()


class BulkReader:
    """Reads Optuna's tables with a few SELECTs for many trials.

    Programs lock the row of the study (SQLite: the file) while they add a trial. So of two trials
    of a study, the one with the larger id has the larger number and was committed later.
    """

    def __init__(self, engine: sa.Engine, study_id: int, newest: int | None = None) -> None:
        self._engine, self._study_id = engine, study_id
        self._last_id = -1 if newest is None else self._id_from_the_end(newest)
        self._genes = _Genes()

    def _id_from_the_end(self, distance: int) -> int:
        """Id of the trial that has so many after it; -1 if there is none."""
        ids = TRIALS.c.trial_id
        query = sa.select(ids).where(TRIALS.c.study_id == self._study_id)
        with self._engine.connect() as connection:
            found = connection.execute(query.order_by(ids.desc()).offset(distance).limit(1))
            return next((row.trial_id for row in found), -1)

    def _select_new(self) -> sa.Select[Any]:
        ids, ours = TRIALS.c.trial_id, USER.alias("ours")
        return (
            sa.select(*(each for each in TRIALS.c if each.name != "study_id"))
            .join(ours, (ours.c.trial_id == ids) & (ours.c.key == RESULT))
            .where(
                TRIALS.c.study_id == self._study_id,
                ids > self._last_id,
                TRIALS.c.state.in_(FINISHED),
            )
            .order_by(ids)
        )

    def read_new(self) -> list[FrozenTrial]:
        trials: list[FrozenTrial] = []
        with self._engine.connect() as connection:
            rows = connection.execute(self._select_new()).all()
            for start in range(0, len(rows), MAX_TRIALS_A_QUERY):
                trials += self._read_parts(connection, rows[start : start + MAX_TRIALS_A_QUERY])
        if rows:
            self._last_id = rows[-1].trial_id
        return trials

    def has_news(self, connection: sa.Connection) -> bool:
        return connection.execute(self._select_new().limit(1)).first() is not None

    def is_empty(self) -> bool:
        return self._id_from_the_end(0) < 0

    def _read_parts(self, connection: sa.Connection, rows: Sequence[Any]) -> list[FrozenTrial]:
        # A range is faster than a list of ids, and reads few rows of other studies.
        ids = (rows[0].trial_id, rows[-1].trial_id)
        params = _rows_by_trial(connection, _PARAMS, ids)
        values = _rows_by_trial(connection, _VALUES, ids)
        user, system = (_rows_by_trial(connection, each, ids) for each in (USER, SYSTEM))
        trials = []
        for row in rows:
            rows_of_trial = params[row.trial_id]
            genes = self._genes[tuple((name, text) for _, name, _, text in rows_of_trial)]
            trials.append(
                FrozenTrial(
                    number=row.number,
                    trial_id=row.trial_id,
                    state=row.state,
                    value=None,
                    values=[value for _, value in values[row.trial_id]] or None,
                    datetime_start=_local(row.datetime_start),
                    datetime_complete=_local(row.datetime_complete),
                    params={
                        name: kind.to_external_repr(each[2])
                        for (name, kind), each in zip(genes.items(), rows_of_trial, strict=True)
                    },
                    distributions=genes,
                    user_attrs={key: json.loads(text) for key, text in user[row.trial_id]},
                    system_attrs={key: json.loads(text) for key, text in system[row.trial_id]},
                    intermediate_values={},
                )
            )
        return trials


class _Genes(dict[tuple[tuple[str, str], ...], dict[str, BaseDistribution]]):
    """Names and distributions in JSON → the distributions, one object for all trials."""

    def __missing__(self, key: tuple[tuple[str, str], ...]) -> dict[str, BaseDistribution]:
        genes = self[key] = {name: json_to_distribution(text) for name, text in key}
        return genes


def _rows_by_trial(
    connection: sa.Connection, rows: sa.TableClause, ids: tuple[int, int]
) -> dict[int, list[Any]]:
    """Trial id → its rows without that id, sorted."""
    found: dict[int, list[Any]] = defaultdict(list)
    for row in connection.execute(sa.select(rows).where(rows.c.trial_id.between(*ids))).all():
        found[row[0]].append(row[1:])
    for each in found.values():
        each.sort()
    return found


def _local(utc: datetime | None) -> datetime | None:
    """Optuna stores UTC and reads local time, both without a time zone."""
    return None if utc is None else utc.replace(tzinfo=UTC).astimezone().replace(tzinfo=None)


class TrialCache:
    """Finished trials in the order of their numbers, without repeated networks.

    An earlier version, or one that does not know the tables, may have stored a network twice. Every
    reader adds the trials in the same order and drops the later of the two, so all readers see the
    same trials.
    """

    def __init__(self) -> None:
        self.trials: list[FrozenTrial] = []
        self.by_number: dict[int, FrozenTrial] = {}
        self.first_latencies: dict[str, Measurement] = {}
        """Device → the latency of the first trial that has one there, as it was stored."""
        self._by_network: dict[str, list[FrozenTrial]] = {}
        self._news: list[FrozenTrial] = []
        self._has_read = False

    @property
    def reference_ms(self) -> dict[str, float]:
        """Device → milliseconds of the reference network that latencies are expressed in."""
        return {name: each.ms / each.ratio for name, each in self.first_latencies.items()}

    def add(self, trials: Iterable[FrozenTrial]) -> None:
        """Add trials that were read; those of the first call are no news."""
        for trial in trials:
            if self.find_twin(trial) is not None:
                continue
            self.trials.append(trial)
            self.by_number[trial.number] = trial
            self._by_network.setdefault(network_of(trial), []).append(trial)
            known = {name: each for name, each in latencies_of(trial).items() if each is not None}
            self.first_latencies = known | self.first_latencies
            if self._has_read:
                self._news.append(trial)
        self._has_read = True

    def find_twin(self, trial: FrozenTrial) -> FrozenTrial | None:
        """The trial of the same network; of the same label too, if `trial` has one."""
        label, same = label_of(trial), self._by_network.get(network_of(trial), ())
        return next((each for each in same if label in ("", label_of(each))), None)

    def forget_news(self, trial: FrozenTrial) -> None:
        """Leave out of the news a trial that the caller knows."""
        self._news = [each for each in self._news if each.number != trial.number]

    def take_news(self) -> list[FrozenTrial]:
        """The trials added since the last call, except the caller's own."""
        news, self._news = self._news, []
        return news
