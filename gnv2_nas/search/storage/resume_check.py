"""A study is gone on with only under the settings it was made with."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path

from gnv2_nas.data.folders.source import DIGITS
from gnv2_nas.errors import StudyError
from gnv2_nas.search.storage.study_format import Provenance
from gnv2_nas.search.study.names import device_label
from gnv2_nas.search.study.records import Settings


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
        old.quality.partition(":")[0] == new.quality.partition(":")[0]
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
