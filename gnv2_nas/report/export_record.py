"""The record of exported files that a model card keeps for the next export.

The first lines of a card contain a hidden comment with the format and the digest of each file. An
export uses it to distinguish its own earlier files from other files of the same name.
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
"""The files in a card from a version without digests."""
_START = 64 * 1024

_SUFFIXES = (".onnx", ".xml", ".bin", ".param", ".tflite", ".pte")


class ExportRecord(msgspec.Struct, frozen=True):
    """The files of an export."""

    format: str
    """ "" in cards from earlier versions."""
    files: dict[str, str]
    """Name → SHA-256 of the content; "" in cards from earlier versions."""

    @classmethod
    def of(cls, format: str, contents: Mapping[Path, bytes]) -> ExportRecord:  # noqa: A002
        """The record of files with these contents."""
        digests = {
            _key(path): hashlib.sha256(content).hexdigest() for path, content in contents.items()
        }
        return cls(format, digests)

    def lines(self) -> tuple[str, str]:
        """The first lines of the card."""
        text = msgspec.json.encode(self).decode()
        # A file name must not end the comment.
        for character in "<>-&":
            text = text.replace(character, f"\\u{ord(character):04x}")
        return CARD_MARK, f"{_BEGIN}{text}{_END}"

    def is_of(self, format: str, names: Collection[str]) -> bool:  # noqa: A002
        """Whether an export of `format` to `names` writes the same files."""
        if self.files.keys() != set(names):
            return False
        # In cards from earlier versions, only the suffixes of the names identify the format.
        return self.format == format or (not self.format and all(Path(n).suffix for n in names))


def read_card(path: Path) -> ExportRecord | None:
    """The record in a model card; None if `path` is not a model card."""
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
            return msgspec.json.decode(content, type=ExportRecord)
        except msgspec.MsgspecError:
            return ExportRecord("", {})
    named = _FILES.search(text)
    names = re.findall(r"`([^`]*)`", named[1]) if named else []
    return ExportRecord("", dict.fromkeys(names, ""))


def card_path(output: Path, format: str = "") -> Path:  # noqa: A002
    """Path of the model card: the name of the files with the suffix .md.

    Args:
        format: added to the name if the shorter name belongs to the card of another export.
    """
    suffix = f".{format}.md" if format else ".md"
    return output.with_suffix(suffix) if output.suffix in _SUFFIXES else Path(f"{output}{suffix}")


def check_export(
    output: Path,
    format: str,  # noqa: A002
    files: Sequence[Path],
    inputs: Iterable[Path | str | None],
) -> Path:
    """Check that an export may write its files, and choose the path of its card.

    Args:
        output: the path that the card is named after.

    Raises:
        OutputError: an existing file is not an earlier export of the same format.
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


def _kind(format: str, known: Mapping[Path, ExportRecord], own: Sequence[ExportRecord]) -> Kind:  # noqa: A002
    def is_one(path: Path) -> bool:
        if not known and format == "onnx":  # an ONNX file names its producer
            return starts_with(path, b"gnv2-nas")
        digests = [each.files.get(_key(path)) for each in own]
        return "" in digests or _digest(path) in digests

    return Kind("the export", is_one)


def _describes_others(
    card: Path, known: Mapping[Path, ExportRecord], names: Collection[str]
) -> bool:
    """Whether a card describes existing files other than `names`."""
    others = known[card].files.keys() - names if card in known else ()
    return any(card.with_name(name).exists() for name in others)


def _check_is_not_of_another(path: Path, format: str, known: Mapping[Path, ExportRecord]) -> None:  # noqa: A002
    for card, found in known.items():
        if _key(path) in found.files and found.format not in ("", format) and path.exists():
            raise OutputError(
                f"{str(path)!r} is part of the {found.format} export that {str(card)!r} describes; "
                "choose another --output for each format"
            )


def _key(path: Path) -> str:
    """Its name as valid UTF-8, whatever bytes the file system has."""
    return path.name.encode(errors="backslashreplace").decode()


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
