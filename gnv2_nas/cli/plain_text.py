"""Text of other people's making, such that a terminal shows it and does not obey it."""

from __future__ import annotations

import re
import unicodedata

_HIDDEN = ("Cc", "Cf", "Cs", "Zl", "Zp")
"""Categories of control, format (direction of writing), lone surrogate, line and paragraph."""
_JOINERS = "\u200c\u200d"
"""Format characters that scripts and emoji need, and that move nothing."""


def visible(text: str) -> str:
    """One line in which control characters are escaped: "a\\x1b[31m", "a\\nb", "caf\\xe9"."""
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
