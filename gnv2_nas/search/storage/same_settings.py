"""A study is gone on with only under the settings it was made with."""

from __future__ import annotations

from collections.abc import Sequence

from gnv2_nas.errors import StudyError
from gnv2_nas.search.records import Settings
from gnv2_nas.search.storage.study_format import Provenance


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
        if _is_same(field, old, new):
            continue
        if field.endswith("_hash"):
            what = field.removesuffix("_hash")
            raise StudyError(
                f"study {study!r} was made with another content of {what} "
                f"{getattr(there[0], what)!r} ({old or 'unknown'}, now {new}); "
                "bring its file back or choose another --study"
            )
        raise _other_settings(study, field, old, new)


def _is_same(field: str, old: object, new: object) -> bool:
    if field != "budgets" or not isinstance(old, tuple) or not isinstance(new, tuple):
        return old == new
    # The same limits in other words are the same.
    return [(each.metric, each.limit) for each in old] == [
        (each.metric, each.limit) for each in new
    ]


def _other_settings(study: str, field: str, old: object, new: object) -> StudyError:
    return StudyError(
        f"study {study!r} was made with {field} {_shown(old)}, not {_shown(new)}; "
        "go on with the same settings or choose another --study"
    )


def _shown(value: object) -> str:
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ",".join(getattr(item, "text", str(item)) for item in value) or "none"
    return str(value)
