"""Files found by name, written aside and renamed."""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO

from gnv2_nas.errors import InputError, OutputError, StorageError, UnknownNameError
from gnv2_nas.files.leftovers import create_aside, remove_leftovers

SUFFIXES = (".yaml", ".yml")
"""Suffixes of named files."""

_PACKAGE = Path(__file__).resolve().parents[1]


def built_in_folder(kind: str) -> Path:
    """The folder of built-in files: inside an installed package, beside it in a checkout."""
    installed = _PACKAGE / kind
    return installed if installed.is_dir() else _PACKAGE.parent / kind


def list_named(kind: str) -> dict[str, Path]:
    """Name → file of every `kind` ("search_spaces", "profiles") in reach, sorted by name."""
    return {name: files[0] for name, files in _named(kind).items()}


def find_named(kind: str, what: str, name_or_path: str) -> Path:
    """The file with this name or path.

    The suffix is .yaml or .yml in any case. It may be omitted from a path or added to a name.

    Raises:
        UnknownNameError: no such file; the message lists the known names.
        InputError: two files in one folder have this name.
    """
    asked, known = name_or_path.strip(), _named(kind)
    path = _from_home(Path(asked))
    suffixed = path.suffix.lower() in SUFFIXES
    if not suffixed and len(path.parts) < 2:
        if asked not in known:
            raise UnknownNameError(what, name_or_path, known)
        return _only(what, asked, known[asked])
    if _is_file(path):
        return path
    bare = path.with_suffix("") if suffixed else path
    found = [each for suffix in SUFFIXES if _is_file(each := Path(f"{bare}{suffix}"))]
    if not found and len(path.parts) == 1:
        found = known.get(path.stem, [])
    if not found:
        raise UnknownNameError(f"{what} file", name_or_path, known)
    return _only(what, name_or_path, found)


def _named(kind: str) -> dict[str, list[Path]]:
    """Name → files with that name in the first folder that has any."""
    found: dict[str, list[Path]] = {}
    for folder in (built_in_folder(kind), Path(kind)):
        here: dict[str, list[Path]] = {}
        for path in sorted(folder.glob("*")) if folder.is_dir() else ():
            if path.suffix.lower() in SUFFIXES:
                here.setdefault(path.stem, []).append(path)
        found |= here
    return dict(sorted(found.items()))


def _only(what: str, name: str, files: Sequence[Path]) -> Path:
    if len(files) > 1:
        both = " and ".join(repr(str(file)) for file in files)
        raise InputError(f"{what} {name!r} may be {both}; name one of them with its suffix")
    return files[0]


def _from_home(path: Path) -> Path:
    """`path` with "~" expanded, because a shell does not expand it after an equals sign."""
    try:
        return path.expanduser()
    except RuntimeError:  # unknown user, or a user without a home
        return path


def _is_file(path: Path) -> bool:
    """Whether `path` is a file; False if permissions do not allow the check."""
    try:
        return path.is_file()
    except OSError:
        return False


def check_writable(folder: Path) -> None:
    """Create `folder` and check that files can be created in it. Also removes leftovers.

    Raises:
        OutputError: no file can be created.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            remove_leftovers(folder)
    except OSError as error:
        reason = error.strerror or error
        raise OutputError(
            f"cannot write to {str(folder)!r}: {reason}; choose a folder you may write to"
        ) from None


def check_output(path: Path) -> None:
    """Check that a file can be written at `path`, in an existing folder.

    Raises:
        OutputError: it cannot be written.
    """
    if path.is_dir():
        raise OutputError(f"{str(path)!r} is a folder; name a file in it")
    if not path.parent.is_dir():
        raise OutputError(f"the folder of {str(path)!r} is not there; make it first")
    check_writable(path.parent)


def write_atomically(path: Path, data: bytes | str) -> None:
    """Write a temporary file, flush it to disk and rename it. A reader sees the old file or the
    new one.

    Raises:
        StorageError: the disk is full or read-only; an older file stays unchanged.
    """
    content = data.encode() if isinstance(data, str) else data
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as file:
            file.write(content)
    except OSError as error:
        raise write_error(path, error) from None


def write_error(path: Path, error: OSError) -> StorageError:
    """The error for a file that could not be written."""
    reason = error.strerror or error
    return StorageError(f"cannot write {str(path)!r}: {reason}; nothing was changed")


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """A new file that replaces `path` when the block ends without an error. Also removes
    leftovers.

    Raises:
        OSError: the file cannot be written; an older file stays unchanged.
    """
    remove_leftovers(path.parent)
    aside, descriptor = create_aside(path)
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            flush(file)
            aside.replace(path)
    except BaseException:  # also when interrupted from the keyboard
        with contextlib.suppress(OSError):
            aside.unlink()
        raise


def flush(file: IO[bytes]) -> None:
    """Flush a file to disk."""
    file.flush()
    os.fsync(file.fileno())


def content_hash(path: Path) -> str:
    """12 hexadecimal digits of the SHA-256 hash of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:12]
