"""Studies in a database: made, opened, listed.

A trial is written when it is finished, in one transaction, so a search killed at any moment
leaves whole trials and nothing else. `optuna-dashboard` and Optuna itself read the same database.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import optuna

from gnv2_nas.data.folders.source import DIGITS
from gnv2_nas.errors import StudyError, UnknownNameError
from gnv2_nas.search.storage import format as attributes
from gnv2_nas.search.storage.database import open_database, opening
from gnv2_nas.search.storage.format import Progress, Provenance
from gnv2_nas.search.storage.retries import PATIENCE, Patience
from gnv2_nas.search.storage.sqlite import check_database
from gnv2_nas.search.storage.store import Store
from gnv2_nas.search.storage.study_access import study_access
from gnv2_nas.search.storage.transactions import NONE_YET, StudyAccess, StudyTransaction
from gnv2_nas.search.storage.url import mask_url
from gnv2_nas.search.study.metrics import get_metric
from gnv2_nas.search.study.names import device_label
from gnv2_nas.search.study.records import Settings

_BEGUN = {attributes.SETTINGS, attributes.PROVENANCE, attributes.PROGRESS, attributes.FORMAT}


def open_or_create(
    storage: str,
    name: str,
    settings: Settings,
    provenance: Provenance,
    patience: Patience = PATIENCE,
) -> tuple[Store, bool]:
    """The study `name`, made if it is not there yet.

    Args:
        storage: URL of the database, as Optuna has it.
        name: of the study.
        settings: what the study is to be about.
        provenance: how it comes about.
        patience: how long the study's store tries again what the database refuses.

    Returns:
        The store and whether it was there already.

    Raises:
        StudyError: it is there, but was made with other settings or by something else.
        StorageError: the database cannot be reached, or refused.
    """
    check_database(storage)
    database = open_database(storage)
    directions = [get_metric(name).direction for name in settings.objectives]
    with opening(storage):
        study = optuna.create_study(
            storage=database, study_name=name, directions=directions, load_if_exists=True
        )
        access = study_access(database, name)
        alike = [direction.name.lower() for direction in study.directions] == directions
        begun = _begin(access, settings, provenance) if alike else _holds_nothing(access)
    store = Store(access, name, patience, storage)
    if not begun:
        _check_format(store, storage)
        check_same(name, (store.settings, store.provenance), (settings, provenance))
    elif not alike:
        raise StudyError(
            f"study {name!r} in {mask_url(storage)!r} is empty, but was made for other "
            "objectives; choose another --study"
        )
    return store, not begun


def _begin(access: StudyAccess, settings: Settings, provenance: Provenance) -> bool:
    """Whether the study holds nothing yet; then its beginning is written, all at once."""
    beginning = {
        attributes.SETTINGS: settings,
        attributes.PROVENANCE: provenance,
        attributes.PROGRESS: Progress(),
        attributes.FORMAT: attributes.FORMAT_VERSION,
    }
    with access.writing() as transaction:
        if not _is_blank(transaction):
            return False
        if not _is_begun(transaction.attributes(), settings, provenance):
            for key, value in beginning.items():
                transaction.set_attribute(key, msgspec.to_builtins(value))
    return True


def _is_begun(there: dict[str, Any], settings: Settings, provenance: Provenance) -> bool:
    """Whether another process makes the same study at this moment: it may know more by now."""
    if there.get(attributes.FORMAT) != attributes.FORMAT_VERSION or not there.keys() >= _BEGUN:
        return False
    begun = msgspec.convert(there[attributes.PROVENANCE], Provenance)
    return msgspec.convert(there[attributes.SETTINGS], Settings) == settings and (
        begun.sampler,
        begun.seed,
    ) == (provenance.sampler, provenance.seed)


def _holds_nothing(access: StudyAccess) -> bool:
    with access.reading() as transaction:
        return _is_blank(transaction)


def _is_blank(transaction: StudyTransaction) -> bool:
    """Whether this program made the study, or is making it, and no trial is in it."""
    return transaction.attributes().keys() <= _BEGUN and transaction.last() == NONE_YET


def open_study(storage: str, name: str, patience: Patience = PATIENCE) -> Store:
    """A study that is there.

    Raises:
        UnknownNameError: no such study; the message lists those that are there.
        StudyError: it was not made by this program, or by a newer version of it.
        StorageError: the database cannot be reached, or refused.
    """
    database = open_database(storage) if check_database(storage) else None
    names = _names(database, storage)
    if database is None or name not in names:
        raise UnknownNameError("study", name, names or ["none yet; make one with gnv2-nas search"])
    with opening(storage):
        store = Store(study_access(database, name), name, patience, storage)
    _check_format(store, storage)
    return store


def _check_format(store: Store, storage: str) -> None:
    version = store.attributes().get(attributes.FORMAT)
    if version != attributes.FORMAT_VERSION:
        made_by = "another program" if version is None else f"format {version} of this program"
        raise StudyError(
            f"study {store.name!r} in {mask_url(storage)!r} was made by {made_by}, not by "
            f"format {attributes.FORMAT_VERSION}; choose another --study or --storage"
        )


def study_names(storage: str) -> list[str]:
    """Names of the studies in a database; empty when the file is not there yet."""
    return _names(open_database(storage) if check_database(storage) else None, storage)


def _names(database: optuna.storages.RDBStorage | None, storage: str) -> list[str]:
    if database is None:
        return []
    with opening(storage):
        return optuna.get_all_study_names(storage=database)


def check_same(
    study: str, there: tuple[Settings, Provenance], now: tuple[Settings, Provenance]
) -> None:
    """Refuse to go on with a study in another way than it was begun.

    Raises:
        StudyError: sampler, seed or a setting differs; the message says which.
    """
    for field in ("sampler", "seed"):
        old, new = getattr(there[1], field), getattr(now[1], field)
        if old != new:
            raise _other_settings(study, field, old, new)
    for field in Settings.__struct_fields__:
        old, new = getattr(there[0], field), getattr(now[0], field)
        if old == new or (field in _SAME and _SAME[field](there[0], now[0])):
            continue
        if field.endswith("_hash"):
            what = field.removesuffix("_hash")
            raise StudyError(
                f"study {study!r} was made with another content of {what} "
                f"{getattr(there[0], what)!r} ({old or 'unknown'}, now {new}); "
                "bring its file back or choose another --study"
            )
        raise _other_settings(study, field, old, new)


def _same_budgets(old: Settings, new: Settings) -> bool:
    """The same limits, in other words or not."""
    return len(old.budgets) == len(new.budgets) and all(
        one.metric == other.metric and math.isclose(one.limit, other.limit, rel_tol=1e-9)
        for one, other in zip(old.budgets, new.budgets, strict=True)
    )


def _same_device(old: Settings, new: Settings) -> bool:
    """The same profile, by its name or its file; its content is compared as `device_hash`."""
    return device_label(old.device) == device_label(new.device)


def _same_quality(old: Settings, new: Settings) -> bool:
    """The same estimator; the content of its file, wherever it is, as `quality_hash`."""
    return "" not in (old.quality_hash, new.quality_hash) and (
        old.quality_spec.name == new.quality_spec.name
    )


def _same_data(old: Settings, new: Settings) -> bool:
    """The same images, wherever they are; without a hash of them, the same folder."""
    if "" in (old.data, new.data):
        return False
    if old.data_hash and new.data_hash:
        return old.data_hash == new.data_hash
    return DIGITS not in (old.data, new.data) and (
        Path(old.data).expanduser().resolve() == Path(new.data).expanduser().resolve()
    )


_SAME: dict[str, Callable[[Settings, Settings], bool]] = {
    "budgets": _same_budgets,
    "device": _same_device,
    "quality": _same_quality,
    "data": _same_data,
}
"""Settings that are the same in several spellings."""


def _other_settings(study: str, field: str, old: object, new: object) -> StudyError:
    return StudyError(
        f"study {study!r} was made with {field} {_shown(old)}, not {_shown(new)}; "
        "go on with the same settings or choose another --study"
    )


def _shown(value: object) -> str:
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ",".join(getattr(item, "text", str(item)) for item in value) or "none"
    return str(value)
