"""Names of studies."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from gnv2_nas.errors import InputError
from gnv2_nas.files.writing import SUFFIXES
from gnv2_nas.search.study.records import Settings

MAX_LENGTH = 512
"""Length of the column of names in Optuna's table."""


def check_study_name(name: str) -> None:
    """Refuse a name that no command could refer to later.

    Raises:
        InputError: it has characters that a terminal does not show, or more than there is room for.
    """
    if not name.isprintable():
        raise InputError(
            f"study {name!r}: a name takes printable characters only, because commands refer to "
            "the study by it; choose another with --study"
        )
    if len(name) > MAX_LENGTH:
        raise InputError(
            f"study {name[:20]!r}…: a name takes up to {MAX_LENGTH} characters, but this one has "
            f"{len(name)}; choose another with --study"
        )


def device_label(device: str) -> str:
    """The name of a device, however its profile was given: "cpu" for "profiles/cpu.yaml"."""
    path = Path(device.strip())
    return path.stem if path.suffix.lower() in SUFFIXES else path.name


def default_study_name(settings: Settings) -> str:
    """Space, data, budgets and device: the same search continues the same study."""
    asked = [Path(settings.data).resolve().name] if settings.data else []
    if settings.data or settings.quality_hash:
        asked.append(settings.quality_spec.label)
    parts: Sequence[str] = (
        settings.space,
        *asked,
        *(budget.label for budget in settings.budgets),
        device_label(settings.device),
    )
    return "-".join(parts)
