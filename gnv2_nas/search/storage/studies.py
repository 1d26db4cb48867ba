"""Make, open and list the studies of a database.

`optuna-dashboard` and Optuna itself read the same database.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import optuna

from gnv2_nas.data.folders.source import DIGITS
from gnv2_nas.errors import StudyError, UnknownNameError
from gnv2_nas.search.storage.database import open_database
from gnv2_nas.search.storage.format import (
    FORMAT_VERSION,
    Beginning,
    format_of,
    read_beginning,
)
from gnv2_nas.search.storage.retries import PATIENCE, Patience, persist
from gnv2_nas.search.storage.sqlite import check_database
from gnv2_nas.search.storage.store import Store
from gnv2_nas.search.storage.url import mask_url
from gnv2_nas.search.study.budgets import same_limits
from gnv2_nas.search.study.metrics import get_metric
from gnv2_nas.search.study.records import Provenance
from gnv2_nas.search.study.settings import Settings


def open_or_create(
    storage: str,
    name: str,
    settings: Settings,
    provenance: Provenance,
    patience: Patience = PATIENCE,
) -> tuple[Store, bool]:
    """Open the study `name`; make it if it is not there.

    A study without trials does not reserve its name: it is begun anew with the new settings. Each
    process checks before its first trial that the study still has its settings.

    Args:
        storage: URL of the database in Optuna's form.
        name: of the study.
        settings: of the study.
        provenance: how the study came about, if it is made now.
        patience: how long opening and later calls are repeated while the database refuses.

    Returns:
        The store, and whether the study had trials already.

    Raises:
        StudyError: the study was made with other settings or by another program.
        StorageError: the database cannot be reached, or refused.
    """
    check_database(storage)
    database, new = open_database(storage, patience), Beginning(settings, provenance)
    directions = [get_metric(name).direction for name in settings.objectives]

    def make() -> tuple[optuna.Study, Store]:
        # The name is unique in the database: of several processes, one makes the study.
        study = optuna.create_study(
            storage=database, study_name=name, directions=directions, load_if_exists=True
        )
        return study, Store(database, name, storage, patience)

    study, store = persist(make, patience, database.engine, storage)
    version = format_of(store.attributes()) or 0
    if version > FORMAT_VERSION or not store.is_empty():
        check_same_settings(name, _check_format(store, storage), new)
        return store, True
    if [direction.name.lower() for direction in study.directions] != directions:
        raise StudyError(
            f"study {name!r} in {mask_url(storage)!r} is empty, but was made for other "
            "objectives; choose another --study"
        )
    # Another process may be making the same study at this moment.
    if (there := store.beginning) is None or _key(there) != _key(new):
        store.begin(new)
    return store, False


def _key(beginning: Beginning) -> tuple[Settings, str, int]:
    return beginning.settings, beginning.provenance.sampler, beginning.provenance.seed


def open_study(
    storage: str, name: str, patience: Patience = PATIENCE, newest: int | None = None
) -> Store:
    """Open a study that is there.

    Args:
        storage: URL of the database in Optuna's form.
        name: of the study.
        patience: how long opening and later calls are repeated while the database refuses.
        newest: number of trials to read, the last of the study; None for all.

    Raises:
        UnknownNameError: no such study; the message lists those that are there.
        StudyError: it was made by another program, or by a newer version of this one.
        StorageError: the database cannot be reached, or refused.
    """
    database = open_database(storage, patience) if check_database(storage) else None
    names = _names(database, storage, patience)
    if database is None or name not in names:
        raise UnknownNameError("study", name, names or ["none yet; make one with gnv2-nas search"])
    make = partial(Store, database, name, storage, patience, newest=newest)
    store = persist(make, patience, database.engine, storage)
    _check_format(store, storage)
    return store


def _check_format(store: Store, storage: str) -> Beginning:
    attributes = store.attributes()
    version, beginning = format_of(attributes), read_beginning(attributes)
    if beginning is None:
        made_by = "another program" if version is None else f"format {version} of this program"
        raise StudyError(
            f"study {store.name!r} in {mask_url(storage)!r} was made by {made_by}, not by "
            f"format {FORMAT_VERSION}; choose another --study or --storage"
        )
    return beginning


def study_names(storage: str) -> list[str]:
    """Names of the studies in a database; empty when the file is not there yet."""
    return _names(open_database(storage) if check_database(storage) else None, storage)


def _names(
    database: optuna.storages.RDBStorage | None, storage: str, patience: Patience = PATIENCE
) -> list[str]:
    if database is None:
        return []
    read = partial(optuna.get_all_study_names, storage=database)
    return persist(read, patience, database.engine, storage)


def check_same_settings(study: str, there: Beginning, now: Beginning) -> None:
    """Refuse to continue a study in another way than it was begun.

    Raises:
        StudyError: sampler, seed or a setting differs; the message says which.
    """
    for field in ("sampler", "seed"):
        old, new = (getattr(each.provenance, field) for each in (there, now))
        if old != new:
            raise _other_settings(study, field, old, new)
    for field in Settings.__struct_fields__:
        old, new = (getattr(each.settings, field) for each in (there, now))
        if field == "devices":
            _check_devices(study, there.settings, now.settings)
            continue
        if old == new or (field in _SAME and _SAME[field](there.settings, now.settings)):
            continue
        if field.endswith("_hash"):
            what = field.removesuffix("_hash")
            raise _other_content(study, what, getattr(there.settings, what), old, new)
        raise _other_settings(study, field, old, new)


def _check_devices(study: str, old: Settings, new: Settings) -> None:
    """Refuse other devices, or other contents of their profiles."""
    if old.device_labels != new.device_labels:
        raise _other_settings(study, "device", old.device_labels, new.device_labels)
    for one, other in zip(old.devices, new.devices, strict=True):
        if one.content_hash != other.content_hash:
            raise _other_content(study, "device", one.label, one.content_hash, other.content_hash)


def _same_quality(old: Settings, new: Settings) -> bool:
    """Whether the estimators are equal. `quality_hash` compares the contents of their files."""
    return "" not in (old.quality_hash, new.quality_hash) and (
        old.quality_spec.name == new.quality_spec.name
    )


def _same_data(old: Settings, new: Settings) -> bool:
    """Whether the images are equal; the folders, if an image hash is unknown."""
    if "" in (old.data, new.data):
        return False
    if old.data_hash and new.data_hash:
        return old.data_hash == new.data_hash
    return DIGITS not in (old.data, new.data) and (
        Path(old.data).expanduser().resolve() == Path(new.data).expanduser().resolve()
    )


_SAME: dict[str, Callable[[Settings, Settings], bool]] = {
    "budgets": lambda old, new: same_limits(old.budgets, new.budgets),
    "limits": lambda old, new: same_limits(old.limits, new.limits),
    "quality": _same_quality,
    "data": _same_data,
}
"""Settings that can be written in several ways."""


def _other_content(study: str, what: str, name: str, old: str, new: str) -> StudyError:
    return StudyError(
        f"study {study!r} was made with another content of {what} {name!r} "
        f"({old or 'unknown'}, now {new}); bring its file back or choose another --study"
    )


def _other_settings(study: str, field: str, old: object, new: object) -> StudyError:
    return StudyError(
        f"study {study!r} was made with {field} {_show(old)}, not {_show(new)}; "
        "use the same settings or choose another --study"
    )


def _show(value: object) -> str:
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ",".join(getattr(item, "text", str(item)) for item in value) or "none"
    return str(value)
