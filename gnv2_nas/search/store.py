"""Studies on disk: an Optuna database that holds finished trials only.

A trial is written when it is finished, in one transaction, so a search killed at any moment
leaves whole trials and nothing else. `optuna-dashboard` and Optuna itself read the same file.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import Any

import msgspec
import optuna
from optuna.trial import FrozenTrial, TrialState, create_trial
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from gnv2_nas.arch import Architecture
from gnv2_nas.errors import InputError, StorageError, StudyError, UnknownNameError
from gnv2_nas.graph import Counts
from gnv2_nas.profiling.record import Fingerprint, Measurement
from gnv2_nas.quality import EstimatorInfo
from gnv2_nas.search import attributes
from gnv2_nas.search.interrupts import interrupts_wait
from gnv2_nas.search.objectives import DIRECTIONS
from gnv2_nas.search.records import Candidate, Origin, Prediction, Settings, StudyRecord
from gnv2_nas.search.sqlite_file import check_database, without_password


class Provenance(msgspec.Struct, frozen=True):
    """How a study came about."""

    sampler: str
    seed: int
    command: str
    created_at: str
    fingerprint: Fingerprint | None = None
    software: dict[str, str] = {}
    """Package → version the study was begun with."""
    reference_ms: float | None = None
    """Milliseconds of the reference network that all latencies of the study are expressed in."""
    estimator: EstimatorInfo | None = None
    """What the quality estimator said of itself; None in older studies."""
    space_source: str = ""
    """The space as it was asked for, a name or a file; "" in older studies."""


class Progress(msgspec.Struct, frozen=True):
    """Running totals of a study."""

    proposed: int = 0
    rejected: int = 0
    duplicates: int = 0


class _Result(msgspec.Struct, frozen=True):
    counts: Counts
    quality: float | None
    latency: Measurement | None
    violations: dict[str, float]
    origin: Origin = ""
    predicted: dict[str, Prediction] = {}


class Store:
    """One study of one database."""

    def __init__(self, storage: optuna.storages.RDBStorage, name: str) -> None:
        self.name = name
        self._storage = storage
        with _transaction():
            self._study = optuna.load_study(storage=storage, study_name=name)
            self._study_id = storage.get_study_id_from_name(name)

    @cached_property
    def settings(self) -> Settings:
        return msgspec.convert(self._attribute(attributes.SETTINGS), Settings)

    @property
    def provenance(self) -> Provenance:
        return msgspec.convert(self._attribute(attributes.PROVENANCE), Provenance)

    @property
    def progress(self) -> Progress:
        return msgspec.convert(self._attribute(attributes.PROGRESS), Progress)

    @property
    def format_version(self) -> int | None:
        """Of this program's attributes; None when another program made the study."""
        with _transaction():
            version: int | None = self._study.user_attrs.get(attributes.FORMAT)
        return version

    @property
    def is_blank(self) -> bool:
        """Whether the study was made by this program or is being made, and holds nothing yet."""
        begun = {attributes.SETTINGS, attributes.PROVENANCE, attributes.PROGRESS, attributes.FORMAT}
        with _transaction():
            known = set(self._study.user_attrs) <= begun
            return known and not self._study.get_trials(deepcopy=False)

    def _attribute(self, key: str) -> Any:
        with _transaction():
            return self._study.user_attrs[key]

    def save_provenance(self, provenance: Provenance) -> None:
        with _transaction():
            self._study.set_user_attr(attributes.PROVENANCE, msgspec.to_builtins(provenance))

    def save_progress(self, progress: Progress) -> None:
        with _transaction():
            self._study.set_user_attr(attributes.PROGRESS, msgspec.to_builtins(progress))

    def append(self, candidate: Candidate, trial: FrozenTrial | None) -> int:
        """Keep a finished trial; returns its number.

        Args:
            candidate: what was found out.
            trial: the finished trial it came from; None for a baseline outside the space.

        Raises:
            StorageError: the database refused; the trials already there are kept.
        """
        user_attrs: dict[str, Any] = {
            attributes.ARCHITECTURE: candidate.architecture.to_json(),
            attributes.RESULT: msgspec.to_builtins(_result(candidate)),
        }
        if candidate.baseline:
            user_attrs[attributes.BASELINE] = candidate.baseline
        values = [candidate.value(name) for name in self.settings.objectives]
        # A stock network whose score does not compare has no place among the values.
        complete = all(map(math.isfinite, values))
        stored = create_trial(
            state=TrialState.COMPLETE if complete else TrialState.PRUNED,
            values=values if complete else None,
            params=trial.params if trial else {},
            distributions=trial.distributions if trial else {},
            user_attrs=user_attrs,
            system_attrs=trial.system_attrs if trial else {},
        )
        with _transaction():
            trial_id = self._storage.create_new_trial(self._study_id, template_trial=stored)
            return self._storage.get_trial_number_from_id(trial_id)

    def trials(self) -> list[FrozenTrial]:
        """The finished trials, as Optuna has them."""
        finished = (TrialState.COMPLETE, TrialState.PRUNED)
        with _transaction():
            trials = self._study.get_trials(deepcopy=False, states=finished)
        return [trial for trial in trials if attributes.RESULT in trial.user_attrs]

    def record(self) -> StudyRecord:
        """The whole study as plain data."""
        provenance, progress = self.provenance, self.progress
        return StudyRecord(
            name=self.name,
            settings=self.settings,
            candidates=tuple(candidate_of(trial) for trial in self.trials()),
            sampler=provenance.sampler,
            seed=provenance.seed,
            command=provenance.command,
            created_at=provenance.created_at,
            proposed=progress.proposed,
            rejected=progress.rejected,
            duplicates=progress.duplicates,
            fingerprint=provenance.fingerprint,
            software=provenance.software,
            estimator=provenance.estimator,
            space_source=provenance.space_source,
        )


def _result(candidate: Candidate) -> _Result:
    latency = candidate.latency.without_samples() if candidate.latency else None
    return _Result(
        counts=candidate.counts,
        quality=candidate.quality,
        latency=latency,
        violations=dict(candidate.violations),
        origin=candidate.origin,
        predicted=dict(candidate.predicted),
    )


def candidate_of(trial: FrozenTrial) -> Candidate:
    """The candidate a stored trial holds."""
    result = msgspec.convert(trial.user_attrs[attributes.RESULT], _Result)
    return Candidate(
        number=trial.number,
        architecture=Architecture.from_json(trial.user_attrs[attributes.ARCHITECTURE]),
        params=trial.params,
        baseline=trial.user_attrs.get(attributes.BASELINE, ""),
        counts=result.counts,
        quality=result.quality,
        latency=result.latency,
        violations=result.violations,
        origin=result.origin,
        predicted=result.predicted,
    )


def open_or_create(
    storage: str, name: str, settings: Settings, provenance: Provenance
) -> tuple[Store, bool]:
    """The study `name`, made if it is not there yet.

    Returns:
        The store and whether it was there already.

    Raises:
        StudyError: it is there, but was made with other settings or by something else.
    """
    check_database(storage)
    database = _storage(storage)
    directions = [DIRECTIONS[objective] for objective in settings.objectives]
    with _transaction():
        study = optuna.create_study(
            storage=database, study_name=name, directions=directions, load_if_exists=True
        )
    store = Store(database, name)
    # Blank is what this run made, or another that ended before its first trial.
    if not store.is_blank:
        _check_format(store, storage)
        _check_same(store, settings, provenance)
        return store, True
    if [direction.name.lower() for direction in study.directions] != directions:
        raise StudyError(
            f"study {name!r} in {without_password(storage)!r} is empty, but was made for other "
            "objectives; choose another --study"
        )
    with _transaction():
        study.set_user_attr(attributes.SETTINGS, msgspec.to_builtins(settings))
        study.set_user_attr(attributes.PROVENANCE, msgspec.to_builtins(provenance))
        study.set_user_attr(attributes.PROGRESS, msgspec.to_builtins(Progress()))
        study.set_user_attr(attributes.FORMAT, attributes.FORMAT_VERSION)
    return store, False


def open_study(storage: str, name: str) -> Store:
    """A study that is there.

    Raises:
        UnknownNameError: no such study; the message lists those that are there.
        StudyError: it was not made by this program, or by a newer version of it.
    """
    if name not in (names := study_names(storage)):
        raise UnknownNameError("study", name, names or ["none yet; make one with gnv2-nas search"])
    store = Store(_storage(storage), name)
    _check_format(store, storage)
    return store


def _check_format(store: Store, storage: str) -> None:
    version = store.format_version
    if version != attributes.FORMAT_VERSION:
        made_by = "another program" if version is None else f"format {version} of this program"
        raise StudyError(
            f"study {store.name!r} in {without_password(storage)!r} was made by {made_by}, not by "
            f"format {attributes.FORMAT_VERSION}; choose another --study or --storage"
        )


def study_names(storage: str) -> list[str]:
    """Names of the studies in a database; empty when the file is not there yet."""
    if not check_database(storage):
        return []
    database = _storage(storage)
    with _transaction():
        return optuna.get_all_study_names(storage=database)


def _storage(url: str) -> optuna.storages.RDBStorage:
    arguments = {"connect_args": {"timeout": 30}} if url.startswith("sqlite") else {}
    try:
        with _transaction():
            return optuna.storages.RDBStorage(url, engine_kwargs=arguments)
    except RuntimeError:
        # So Optuna answers tables of a version that it cannot read.
        raise StudyError(
            f"the tables in {without_password(url)!r} were made by another version of Optuna than "
            f"{optuna.__version__}; upgrade them with `optuna storage upgrade` "
            "or choose another --storage"
        ) from None


def _check_same(store: Store, settings: Settings, provenance: Provenance) -> None:
    there, begun = store.settings, store.provenance
    for field in ("sampler", "seed"):
        old, new = getattr(begun, field), getattr(provenance, field)
        if old != new:
            raise _other_settings(store, field, old, new)
    for field in settings.__struct_fields__:
        old, new = getattr(there, field), getattr(settings, field)
        if field == "budgets":
            same = [(b.metric, b.limit) for b in old] == [(b.metric, b.limit) for b in new]
        else:
            same = old == new
        if same:
            continue
        if field.endswith("_hash"):
            what = field.removesuffix("_hash")
            raise StudyError(
                f"study {store.name!r} was made with another content of {what} "
                f"{getattr(there, what)!r} ({old or 'unknown'}, now {new}); "
                "bring its file back or choose another --study"
            )
        raise _other_settings(store, field, old, new)


def _other_settings(store: Store, field: str, old: object, new: object) -> StudyError:
    return StudyError(
        f"study {store.name!r} was made with {field} {_shown(old)}, not {_shown(new)}; "
        "go on with the same settings or choose another --study"
    )


def _shown(value: object) -> str:
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ",".join(getattr(item, "text", str(item)) for item in value) or "none"
    return str(value)


@contextmanager
def _transaction() -> Iterator[None]:
    """Database failures as one line of this package's own; interrupts wait."""
    try:
        with interrupts_wait():
            yield
    except ArgumentError as error:
        raise StudyError(f"--storage cannot be opened: {' '.join(str(error).split())}") from None
    except (SQLAlchemyError, optuna.exceptions.StorageInternalError) as error:
        cause = error.__cause__ or error
        reason = " ".join(str(getattr(cause, "orig", cause)).split())
        raise StorageError(
            f"the study database refused: {reason}; finished trials are kept"
        ) from None
    except (ImportError, ValueError) as error:
        raise InputError(f"cannot open the study database: {error}") from None
