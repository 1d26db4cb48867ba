"""Files written beside what was asked for must not overwrite what somebody else wrote."""

from __future__ import annotations

from pathlib import Path

from gnv2_nas.errors import OutputError

CARD_MARK = "<!-- model card of gnv2-nas -->"
"""First line of every model card."""
PAGE_MARK = '<meta name="generator" content="gnv2-nas">'
"""In the head of every page."""

_START = 4000
"""Characters that the mark must be among."""


def check_card(path: Path) -> None:
    """Prove that a model card may be written at `path`.

    Raises:
        OutputError: a file is there that is none.
    """
    _check(path, CARD_MARK, "the model card")


def check_page(path: Path) -> None:
    """Prove that the page of a training may be written at `path`.

    Raises:
        OutputError: a file is there that is no page of this program.
    """
    _check(path, PAGE_MARK, "the page of the training")


def _check(path: Path, mark: str, what: str) -> None:
    if path.is_dir() or (path.is_file() and mark not in _start(path)):
        raise OutputError(
            f"{what} would overwrite {str(path)!r}, which is something else; choose another "
            "--output"
        )


def _start(path: Path) -> str:
    try:
        with path.open(errors="replace") as file:
            return file.read(_START)
    except OSError as error:
        raise OutputError(f"cannot read {str(path)!r}: {error.strerror or error}") from None
