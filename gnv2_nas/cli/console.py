"""Everything the command line prints: results to standard output, all else to standard error.

No other module prints. Printed text may contain a user's text: it is shown as it was typed, never
interpreted as markup or emoji codes, never wrapped where it is to be copied, and its control
characters are escaped. `streams` makes sure that printing cannot fail.
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
"""Unicode categories: control, format (direction of text), surrogate, line, paragraph."""
_JOINERS = "\u200c\u200d"
"""Format characters that some scripts and emoji need."""


def escape_controls(text: str) -> str:
    """Return one line with control characters escaped: "a\\x1b[31m", "a\\nb", "caf\\xe9"."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(map(_escape_character, text))


def join_lines(text: str) -> str:
    """Return `escape_controls` of a message that may contain line breaks."""
    return escape_controls(re.sub(r"\s*\n\s*", " ", text.strip()))


def _escape_character(character: str) -> str:
    if unicodedata.category(character) not in _HIDDEN or character in _JOINERS:
        return character
    if "\udc80" <= character <= "\udcff":
        # A byte of a file name that the locale's encoding cannot decode.
        return f"\\x{ord(character) - 0xDC00:02x}"
    return ascii(character)[1:-1]


@cache
def stderr() -> Console:
    return _console(to_stderr=True)


def _console(*, to_stderr: bool, log_width: int = LOG_WIDTH) -> Console:
    from rich.console import Console

    stream = sys.stderr if to_stderr else sys.stdout
    # A log file has no width, and a table cut to 80 columns would lose numbers.
    width = None if stream is not None and stream.isatty() else log_width
    return Console(stderr=to_stderr, width=width, highlight=False, markup=False, emoji=False)


def to_text(text: str) -> Text:
    """Return text that Rich shows unchanged."""
    from rich.text import Text

    return Text(escape_controls(text))


def say(message: str) -> None:
    """Print a line for people on standard error, so that results can be piped."""
    stderr().print(to_text(message), soft_wrap=True)


def say_error(message: str) -> None:
    """Print the last line of a command that failed. Does not import Rich, which takes time."""
    sys.stderr.write(f"error: {join_lines(message)}\n")


def print_line(line: str) -> None:
    """Print a line of a result."""
    sys.stdout.write(f"{escape_controls(line)}\n")


def print_json(value: object) -> None:
    """Print a result for scripts, in ASCII, which no encoding can damage."""
    ready = _finite(msgspec.to_builtins(value, str_keys=True))
    sys.stdout.write(json.dumps(ready, indent=2) + "\n")


def _finite(value: Any) -> Any:
    """Replace infinity and NaN, which JSON lacks, by None."""
    if isinstance(value, dict):
        return {key: _finite(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def print_table(
    columns: Sequence[str], rows: Iterable[Sequence[str]], *, title: str = "", left: int = 1
) -> None:
    """Print a table whose first `left` columns are text and whose other columns are numbers.

    The first column holds names to copy: it is not wrapped while there is room. No cell is ever
    cut.
    """
    from rich import box
    from rich.table import Table

    cells = [[to_text(cell) for cell in row] for row in rows]
    longest = max((row[0].cell_len for row in cells), default=0)
    console = _console(to_stderr=False, log_width=max(LOG_WIDTH, 2 * longest))
    table = Table(
        box=box.SIMPLE_HEAD, title=to_text(title) if title else None, title_justify="left",
        pad_edge=False,
    )  # fmt: skip
    for position, column in enumerate(columns):
        table.add_column(
            to_text(column),
            justify="left" if position < left else "right",
            overflow="fold",
            no_wrap=position == 0 and longest <= console.width // 2,
        )
    for row in cells:
        table.add_row(*row)
    console.print(table)


def read_all(names: Iterable[str], read: Callable[[str], T]) -> list[T]:
    """Read each name. A file that cannot be read is reported and left out."""
    found = []
    for name in names:
        try:
            found.append(read(name))
        except InputError as error:
            say(f"left out: {error}")
    return found


def take_over_messages() -> None:
    """Print the warnings and log messages of libraries, one line each."""

    def show_warning(message: Warning | str, *_: object, **__: object) -> None:
        say(join_lines(f"warning: {message}"))

    warnings.showwarning = show_warning
    logging.getLogger().addHandler(_Saying(logging.WARNING))


class _Saying(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        say(join_lines(record.getMessage()))
