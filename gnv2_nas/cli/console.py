"""Where the command line prints: results to standard output, progress to standard error."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from typing import TYPE_CHECKING, TypeVar

import msgspec

from gnv2_nas.errors import InputError

if TYPE_CHECKING:
    from rich.console import Console

T = TypeVar("T")

LOG_WIDTH = 140


@cache
def stdout() -> Console:
    return _console(to_stderr=False)


@cache
def stderr() -> Console:
    return _console(to_stderr=True)


def _console(*, to_stderr: bool) -> Console:
    from rich.console import Console

    stream = sys.stderr if to_stderr else sys.stdout
    # A log file has no width of its own, and a table cut to 80 columns would lose figures.
    width = None if stream.isatty() else LOG_WIDTH
    return Console(stderr=to_stderr, width=width, highlight=False)


def print_json(value: object) -> None:
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(value)).decode() + "\n")


def print_table(
    columns: Sequence[str], rows: Iterable[Sequence[str]], *, title: str = "", left: int = 1
) -> None:
    """A table whose first `left` columns are text and the others figures."""
    from rich import box
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, title=title or None, title_justify="left", pad_edge=False)
    for position, column in enumerate(columns):
        table.add_column(column, justify="left" if position < left else "right")
    for row in rows:
        table.add_row(*map(escape, row))
    stdout().print(table)


def readable(names: Iterable[str], read: Callable[[str], T]) -> list[T]:
    """What `read` gives for each name; a file that is wrong is told, and does not hide the rest."""
    found = []
    for name in names:
        try:
            found.append(read(name))
        except InputError as error:
            say(f"left out: {error}")
    return found


def say(message: str) -> None:
    """A line for people, on standard error so that results can be piped."""
    stderr().print(message, markup=False, soft_wrap=True)
