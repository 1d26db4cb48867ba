"""Everything the command line prints: results to standard output, all else to standard error.

No other module prints. What is printed here may hold the user's text: it is shown as it was typed,
never read as markup or emoji codes, never wrapped where it is to be copied, and control characters
in it are escaped. `streams` sees to it that printing cannot fail.
"""

from __future__ import annotations

import json
import logging
import math
import re
import sys
import unicodedata
import warnings
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from gnv2_nas.errors import InputError

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

T = TypeVar("T")

LOG_WIDTH = 140
_HIDDEN = ("Cc", "Cf", "Cs", "Zl", "Zp")
"""Categories of control, format (direction of writing), lone surrogate, line and paragraph."""
_JOINERS = "\u200c\u200d"
"""Format characters that scripts and emoji need, and that move nothing."""


def visible(text: str) -> str:
    """Return one line with control characters escaped: "a\\x1b[31m", "a\\nb", "caf\\xe9"."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(map(_visible, text))


def one_line(text: str) -> str:
    """`visible` of a message that a library may have broken into lines."""
    return visible(re.sub(r"\s*\n\s*", " ", text.strip()))


def _visible(character: str) -> str:
    if unicodedata.category(character) not in _HIDDEN or character in _JOINERS:
        return character
    if "\udc80" <= character <= "\udcff":
        # A byte of a file name that is not text in the locale's encoding.
        return f"\\x{ord(character) - 0xDC00:02x}"
    return ascii(character)[1:-1]


@cache
def stderr() -> Console:
    return _console(to_stderr=True)


def _console(*, to_stderr: bool, log_width: int = LOG_WIDTH) -> Console:
    from rich.console import Console

    stream = sys.stderr if to_stderr else sys.stdout
    # A log file has no width of its own, and a table cut to 80 columns would lose figures.
    width = None if stream is not None and stream.isatty() else log_width
    return Console(stderr=to_stderr, width=width, highlight=False, markup=False, emoji=False)


def plain(text: str) -> Text:
    """What Rich shall show as it is."""
    from rich.text import Text

    return Text(visible(text))


def say(message: str) -> None:
    """A line for people, on standard error so that results can be piped."""
    stderr().print(plain(message), soft_wrap=True)


def say_error(message: str) -> None:
    """The last line of a command that failed; without Rich, which takes time to import."""
    sys.stderr.write(f"error: {one_line(message)}\n")


def print_line(line: str) -> None:
    """A line of a result."""
    sys.stdout.write(f"{visible(line)}\n")


def print_json(value: object) -> None:
    """A result for scripts, in ASCII: no encoding can damage it."""
    ready = _finite(msgspec.to_builtins(value, str_keys=True))
    sys.stdout.write(json.dumps(ready, indent=2) + "\n")


def _finite(value: Any) -> Any:
    """JSON has no word for infinity and NaN but null."""
    if isinstance(value, dict):
        return {key: _finite(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def print_table(
    columns: Sequence[str], rows: Iterable[Sequence[str]], *, title: str = "", left: int = 1
) -> None:
    """A table whose first `left` columns are text and the others figures.

    The first column holds names to copy: while there is room it is not broken, and what does not
    fit into any column is wrapped, never cut.
    """
    from rich import box
    from rich.table import Table

    cells = [[plain(cell) for cell in row] for row in rows]
    longest = max((row[0].cell_len for row in cells), default=0)
    console = _console(to_stderr=False, log_width=max(LOG_WIDTH, 2 * longest))
    table = Table(
        box=box.SIMPLE_HEAD, title=plain(title) if title else None, title_justify="left",
        pad_edge=False,
    )  # fmt: skip
    for position, column in enumerate(columns):
        table.add_column(
            plain(column),
            justify="left" if position < left else "right",
            overflow="fold",
            no_wrap=position == 0 and longest <= console.width // 2,
        )
    for row in cells:
        table.add_row(*row)
    console.print(table)


def readable(names: Iterable[str], read: Callable[[str], T]) -> list[T]:
    """What `read` gives for each name; a file that is wrong is told, and does not hide the rest."""
    found = []
    for name in names:
        try:
            found.append(read(name))
        except InputError as error:
            say(f"left out: {error}")
    return found


def take_over_messages() -> None:
    """Have warnings and log lines of libraries printed here, one line each."""

    def show_warning(message: Warning | str, *_: object, **__: object) -> None:
        say(one_line(f"warning: {message}"))

    warnings.showwarning = show_warning
    logging.getLogger().addHandler(_Saying(logging.WARNING))


class _Saying(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        say(one_line(record.getMessage()))
