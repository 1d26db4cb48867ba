"""Command lines that users can paste into a POSIX shell."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence

PROGRAM = "gnv2-nas"


def format_command(verb: str, *operands: str, options: Sequence[tuple[str, str]] = ()) -> str:
    """`gnv2-nas VERB OPERAND … --option VALUE …`, quoted.

    Args:
        verb: one or several words, for instance "export" or "devices fit".
        operands: arguments; they follow `--` if one starts with a dash.
        options: pairs of name (with dashes) and value.
    """
    given = [word for name, value in options for word in _option(name, value)]
    if any(operand.startswith("-") for operand in operands):
        return join_command([PROGRAM, *verb.split(), *given, "--", *operands])
    return join_command([PROGRAM, *verb.split(), *operands, *given])


def join_command(words: Iterable[str]) -> str:
    """The words of a command, quoted where necessary."""
    return " ".join(map(quote, words))


def quote(word: str) -> str:
    """One word for a shell. Unprintable characters are escaped as in `$'\\012'`."""
    if word.isprintable():
        return shlex.quote(word)
    return "$'" + "".join(map(_escape, word)) + "'"


def _option(name: str, value: str) -> tuple[str, ...]:
    return (f"{name}={value}",) if value.startswith("-") else (name, value)


def _escape(character: str) -> str:
    if character in "\\'":
        return "\\" + character
    if character.isprintable():
        return character
    # Three octal digits, so that a following digit is not read as part of the escape.
    return "".join(f"\\{byte:03o}" for byte in character.encode("utf-8", "surrogateescape"))
