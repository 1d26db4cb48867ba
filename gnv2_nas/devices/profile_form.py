"""Writing the form of files into a device profile: the rest of the user's file stays as it is."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

import msgspec

from gnv2_nas.devices.profile import PROFILE_KIND, DeviceProfile, is_built_in, read_profile
from gnv2_nas.documents.plain_yaml import parse
from gnv2_nas.errors import InputError, OutputError
from gnv2_nas.files.writing import check_writable, write_atomically
from gnv2_nas.graph.passes.form import FileForm

MARK = "Form of files found by `gnv2-nas devices tune"
"""Begins the comment above a form that was written here."""
_KEY = "form"


def find_target(source: Path) -> Path:
    """Return where the changed profile goes: a built-in profile is copied to `profiles/`."""
    return Path(PROFILE_KIND) / source.name if is_built_in(source) else source


def check_target(source: Path, target: Path) -> None:
    """Check that `target` can be written and is no other profile.

    Raises:
        OutputError: it cannot, or is.
    """
    if target.exists() and not target.samefile(source):
        raise OutputError(
            f"{str(target)!r} would be overwritten: it is the profile that --device {target.stem} "
            "means here, so name it instead"
        )
    check_writable(target.parent)


def write_form(
    source: Path, target: Path, profile: DeviceProfile, form: FileForm, notes: Sequence[str]
) -> None:
    """Write `source` with another form to `target`.

    Args:
        source: the file that `profile` was read from.
        target: the file to write, see `find_target`.
        profile: what `source` is expected to hold.
        form: the form; if it decides nothing, the profile gets none.
        notes: lines of a comment above the form; the first begins with `MARK`.

    Raises:
        OutputError: the file holds something else by now, or is written in a way that cannot be
            edited safely.
        StorageError: the disk refused the write.
    """
    check_target(source, target)
    if read_profile(str(source)) != profile:
        raise OutputError(
            f"{str(source)!r} was changed while it was measured; nothing was written, so tune again"
        )
    # Bytes, because reading as text would change the ends of lines.
    text = set_form(source.read_bytes().decode(), form, notes)
    if not _reads_as(text, msgspec.structs.replace(profile, form=form)):
        wanted = msgspec.json.encode(form).decode()
        raise OutputError(
            f"{str(source)!r} cannot be edited; write into it yourself: {_KEY}: {wanted}"
        )
    write_atomically(target, text)


def set_form(text: str, form: FileForm, notes: Sequence[str]) -> str:
    """Return the text of a profile with another form and a comment above it."""
    lines = text.splitlines(keepends=True)
    start, end = _find_form(text, lines)
    end_of_line = "\r\n" if "\r\n" in text else "\n"
    if lines and not lines[-1].endswith("\n"):
        lines[-1] += end_of_line
    options = msgspec.to_builtins(form)
    block = [f"# {note}" for note in notes] + [f"{_KEY}:"]
    block += [f"  {name}: {msgspec.json.encode(value).decode()}" for name, value in options.items()]
    new = [f"{line}{end_of_line}" for line in block] if options else []
    return "".join([*lines[:start], *new, *lines[end:]])


def _find_form(text: str, lines: Sequence[str]) -> tuple[int, int]:
    """Return the lines of the form and of the comment that `set_form` wrote; both the end of the
    text if there is no form."""
    known = parse(text)[1]
    keys = sorted(line - 1 for path, line in known.items() if len(path) == 1)
    if (_KEY,) not in known:
        return len(lines), len(lines)
    start = known[(_KEY,)] - 1
    after = min((line for line in keys if line > start), default=len(lines))
    # Comments and empty lines before the next key belong to that.
    while after > start + 1 and lines[after - 1].split("#")[0].strip() == "":
        after -= 1
    comment = start
    while comment > 0 and lines[comment - 1].startswith("#"):
        comment -= 1
        if lines[comment].startswith(f"# {MARK}"):
            return comment, after
    return start, after


def _reads_as(text: str, profile: DeviceProfile) -> bool:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "profile.yaml"
        path.write_bytes(text.encode())
        try:
            return read_profile(str(path)) == profile
        except InputError:
            return False
