"""Choices on the command line, in whatever case they are typed."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path


def any_case(
    choices: Callable[[], Iterable[str]], *, before_colon: bool = False
) -> Callable[[str], str]:
    """A callback of an option: the choice that a text means, or the text as it was typed.

    Args:
        choices: called when the option was given; a choice itself stays as it is.
        before_colon: whether the choice is the NAME in NAME:FILE.
    """

    def meant(text: str) -> str:
        name, colon, rest = text.partition(":") if before_colon else (text, "", "")
        known = list(choices())
        found = [each for each in known if each.casefold() == name.strip().casefold()]
        return text if name in known or len(found) != 1 else f"{found[0]}{colon}{rest}"

    return meant


def each_of(meant: Callable[[str], str]) -> Callable[[list[str] | None], list[str] | None]:
    """The same for an option that may be given several times, or not at all."""

    def all_meant(texts: list[str] | None) -> list[str] | None:
        return None if texts is None else [meant(text) for text in texts]

    return all_meant


def _presets() -> Iterable[str]:
    from gnv2_nas.arch import list_presets

    return (*list_presets(), "supernet")


def _named(kind: str) -> Callable[[], Iterable[str]]:
    def names() -> Iterable[str]:
        from gnv2_nas.files.writing import list_named

        return list_named(kind)

    return names


def _estimators() -> Iterable[str]:
    from gnv2_nas.quality.base import ESTIMATORS

    return ESTIMATORS


def _samplers() -> Iterable[str]:
    from gnv2_nas.search.sampler.factory import SAMPLERS

    return SAMPLERS


def lower(text: str) -> str:
    """For choices that are all in small letters, alone or in a list."""
    return text.lower()


def _data(text: str) -> str:
    return text if Path(text).exists() else any_case(lambda: ("digits",))(text)


network = any_case(_presets)
space = any_case(_named("search_spaces"))
device = any_case(_named("profiles"))
quality = any_case(_estimators, before_colon=True)
sampler = any_case(_samplers)
data = _data
