"""Text of a user in Markdown: shown as it is, and never anything else than text."""

from __future__ import annotations

import re
import unicodedata

_PLAIN = re.compile(r"[\w .,;()/%+='-]", re.ASCII)
"""Characters that mean nothing inside a line, except those that `_special` finds."""
_SAFE_CODE = re.compile(r"[\w.+-]+( [\w.+-]+)*", re.ASCII)
_INVISIBLE = ("Cc", "Cf", "Cs")
_JOINERS = "\N{ZERO WIDTH NON-JOINER}\N{ZERO WIDTH JOINER}"
"""Part of how several scripts are written."""
_UNKNOWN = "\N{REPLACEMENT CHARACTER}"


def as_text(text: str) -> str:
    """`text` for one line of Markdown, also in a cell of a table.

    What could begin HTML, a link, code, emphasis, a list, a heading or another cell is written as
    a character reference, which every reader of Markdown shows as the character and takes for
    nothing else. White space becomes single spaces; control characters, the marks that turn the
    direction of writing and halves of characters become U+FFFD.
    """
    shown = " ".join(text.split())
    return "".join(_character(shown, index) for index in range(len(shown)))


def as_code(text: str) -> str:
    """`text` as code where that is safe, as with most names of files; else as text."""
    return f"`{text}`" if _SAFE_CODE.fullmatch(text) else as_text(text)


def _character(text: str, index: int) -> str:
    character = text[index]
    if unicodedata.category(character) in _INVISIBLE and character not in _JOINERS:
        return _UNKNOWN
    if character.isascii() and (
        not _PLAIN.fullmatch(character) or _is_special(text, index, character)
    ):
        return f"&#{ord(character)};"
    return character


def _is_special(text: str, index: int, character: str) -> bool:
    """Whether a plain character would begin a list, emphasise, or be part of
    an address that is made a link."""
    if character == "_":
        return not (text[index - 1 : index].isalnum() and text[index + 1 : index + 2].isalnum())
    if index == 0:
        return character in "+-="
    if character == ".":
        return text[:index].isdigit() or text[index - 3 : index].lower() == "www"
    return character == ")" and text[:index].isdigit()
