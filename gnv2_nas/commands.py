"""Command lines to copy into a POSIX shell, which mean there what they mean here."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence

PROGRAM = "gnv2-nas"


def format_command(verb: str, *operands: str, options: Sequence[tuple[str, str]] = ()) -> str:
    """`gnv2-nas VERB OPERAND … --option VALUE …`, quoted.

    Args:
        verb: one word or several: "export", "devices fit".
        operands: what the command is about; one that begins with a dash goes behind `--`.
        options: names with their dashes, and values.
    """
    given = [word for name, value in options for word in _option(name, value)]
    if any(operand.startswith("-") for operand in operands):
        return join_command([PROGRAM, *verb.split(), *given, "--", *operands])
    return join_command([PROGRAM, *verb.split(), *operands, *given])


def join_command(words: Iterable[str]) -> str:
    """The words of a command, each quoted where it must be."""
    return " ".join(map(quote, words))


def quote(word: str) -> str:
    """One word for a shell; characters that no terminal shows are written as `$'\\012'`."""
    if word.isprintable():
        return shlex.quote(word)
    return "$'" + "".join(map(_escaped, word)) + "'"


def _option(name: str, value: str) -> tuple[str, ...]:
    return (f"{name}={value}",) if value.startswith("-") else (name, value)


def _escaped(character: str) -> str:
    if character in "\\'":
        return "\\" + character
    if character.isprintable():
        return character
    # Octal always has three digits, so that nothing that follows is taken for one of them.
    return "".join(f"\\{byte:03o}" for byte in character.encode("utf-8", "surrogateescape"))
