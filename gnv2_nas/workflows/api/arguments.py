"""Arguments of the Python functions: converted to requests, with errors before any work."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

import msgspec

from gnv2_nas.workflows.events import Event, Events, ignore, print_events

Request = TypeVar("Request", bound=msgspec.Struct)


def make_request(kind: type[Request], **values: Any) -> Request:
    """Return a request whose values have the types of its fields.

    Raises:
        TypeError: a value has another type.
    """
    converted = {}
    for field in msgspec.structs.fields(kind):
        if field.name not in values:
            continue
        value = values[field.name]
        try:
            converted[field.name] = msgspec.convert(value, field.type, dec_hook=_decode)
        except msgspec.ValidationError:
            expected = getattr(field.type, "__name__", None) or str(field.type)
            raise TypeError(
                f"{field.name}: expected {expected}, but got {type(value).__name__} {value!r}"
            ) from None
    return kind(**converted)


def _decode(kind: type, value: Any) -> Any:
    if kind is Path and isinstance(value, str | Path):
        return Path(value)
    raise msgspec.ValidationError


def as_text(value: str | Path) -> str:
    """Return a path as text, and any other value unchanged."""
    return str(value) if isinstance(value, Path) else value


def make_observer(progress: bool, events: Events | None) -> Events:
    """Return one observer that prints, calls `events`, or does both."""
    observers = [*([print_events()] if progress else []), *([events] if events else [])]
    if len(observers) < 2:
        return observers[0] if observers else ignore

    def notify(event: Event) -> None:
        for observer in observers:
            observer(event)

    return notify
