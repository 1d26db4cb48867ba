"""What an export has written, as its model card keeps it for the next export.

The first lines of a card hold, hidden from readers, the format and the digest of each file. So an
export can tell its own earlier files from files of the same name that are somebody else's.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path

import msgspec

from gnv2_nas.errors import OutputError
from gnv2_nas.files.outputs import CARD, CARD_MARK, Kind, check_outputs, starts_with

_BEGIN, _END = "<!-- files: ", " -->"
_FILES = re.compile(r"^\| files \| (.*) \|$", re.MULTILINE)
"""Of a card from a version that kept no digests."""
_START = 64 * 1024

_SUFFIXES = (".onnx", ".xml", ".bin", ".param", ".tflite", ".pte")


class Exported(msgspec.Struct, frozen=True):
    """The files of an export."""

    format: str
    """ "" in cards of earlier versions."""
    files: dict[str, str]
    """Name → SHA-256 of the content, "" in cards of earlier versions."""

    @classmethod
    def of(cls, format: str, contents: Mapping[Path, bytes]) -> Exported:  # noqa: A002
        """What a card says of files that are about to be written."""
        digests = {
            _key(path): hashlib.sha256(content).hexdigest() for path, content in contents.items()
        }
        return cls(format, digests)

    def lines(self) -> tuple[str, str]:
        """The first lines of the card."""
        text = msgspec.json.encode(self).decode()
        # So that a name cannot end the comment.
        for character in "<>-&":
            text = text.replace(character, f"\\u{ord(character):04x}")
        return CARD_MARK, f"{_BEGIN}{text}{_END}"

    def is_of(self, format: str, names: Collection[str]) -> bool:  # noqa: A002
        """Whether another export would write the same files."""
        if self.files.keys() != set(names):
            return False
        # Of an earlier version; a name without a suffix says nothing of the format.
        return self.format == format or (not self.format and all(Path(n).suffix for n in names))


def read_card(path: Path) -> Exported | None:
    """What a model card says of the files beside it; None where there is no card."""
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            text = file.read(_START)
    except OSError:
        return None
    first, *others = text.split("\n")
    if first != CARD_MARK:
        return None
    if others and others[0].startswith(_BEGIN) and others[0].endswith(_END):
        try:
            content = others[0][len(_BEGIN) : -len(_END)]
            return msgspec.json.decode(content, type=Exported)
        except msgspec.MsgspecError:
            return Exported("", {})
    named = _FILES.search(text)
    names = re.findall(r"`([^`]*)`", named[1]) if named else []
    return Exported("", dict.fromkeys(names, ""))


def card_path(output: Path, format: str = "") -> Path:  # noqa: A002
    """Beside the files: their name with .md for what tells their format.

    Args:
        format: named as well, where the shorter name is that of another export's card.
    """
    suffix = f".{format}.md" if format else ".md"
    return output.with_suffix(suffix) if output.suffix in _SUFFIXES else Path(f"{output}{suffix}")


def check_export(
    output: Path,
    format: str,  # noqa: A002
    files: Sequence[Path],
    inputs: Iterable[Path | str | None],
) -> Path:
    """Prove that an export may write its files, and choose the place of its card.

    Args:
        output: what the card is named after.

    Raises:
        OutputError: a file is there that is no earlier export of the same network format.
    """
    read, names = list(inputs), {_key(path) for path in files}
    cards = (card_path(output), card_path(output, format))
    known = {card: found for card in cards if (found := read_card(card)) is not None}
    own = {card: found for card, found in known.items() if found.is_of(format, names)}
    for path in files:
        _check_is_not_of_another(path, format, known)
        check_outputs({path: _kind(format, known, list(own.values()))}, read)
    usual = cards[1] if _describes_others(cards[0], known, names) else cards[0]
    card = next(iter(own), usual)
    check_outputs({card: CARD}, read)
    return card


def _kind(format: str, known: Mapping[Path, Exported], own: Sequence[Exported]) -> Kind:  # noqa: A002
    def is_one(path: Path) -> bool:
        if not known and format == "onnx":  # which says itself who wrote it
            return starts_with(path, b"gnv2-nas")
        digests = [each.files.get(_key(path)) for each in own]
        return "" in digests or _digest(path) in digests

    return Kind("the export", is_one)


def _describes_others(card: Path, known: Mapping[Path, Exported], names: Collection[str]) -> bool:
    """Whether a card is of files that are there and are not those of these names."""
    others = known[card].files.keys() - names if card in known else ()
    return any(card.with_name(name).exists() for name in others)


def _check_is_not_of_another(path: Path, format: str, known: Mapping[Path, Exported]) -> None:  # noqa: A002
    for card, found in known.items():
        if _key(path) in found.files and found.format not in ("", format) and path.exists():
            raise OutputError(
                f"{str(path)!r} is part of the {found.format} export that {str(card)!r} describes; "
                "choose another --output for each format"
            )


def _key(path: Path) -> str:
    """Its name; readable as UTF-8 even where the file system's is not."""
    return path.name.encode(errors="backslashreplace").decode()


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
