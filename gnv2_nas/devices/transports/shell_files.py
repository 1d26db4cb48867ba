"""Files to and from a device through a shell there."""

from __future__ import annotations

import contextlib
import io
import posixpath
import tarfile
from collections.abc import Mapping, Sequence

from gnv2_nas.devices.transports.script import new_token
from gnv2_nas.devices.transports.shell import SECONDS_FOR_SMALL, ShellCommands
from gnv2_nas.errors import DeviceError

_PLACE = (
    'a=$1; shift; i=0; for f; do mkdir -p "$f" && mv -f "$a/$i"/* "$f/" || exit; i=$((i+1)); done; '
    'rm -rf "$a"; find . -maxdepth 1 -name ".pushed-*" -mtime +0 -exec rm -rf {} +'
)
"""Moves files from the folder $1, whose folder 0 belongs in $2, folder 1 in $3 and so on. Also
removes such folders of a day before, which a cut connection has left."""
_UNPACK = 'mkdir "$1" && cd "$1" && tar -xof - || { c=$?; cd ..; rm -rf "$1"; exit $c; }'
_SIZES = (
    'cd "$1" 2>/dev/null || exit 0; shift; '
    'for f in *; do [ -f "$f" ] && set -- "$@" "./$f"; done; wc -c /dev/null "$@"'
)


class ShellTransport(ShellCommands):
    """A transport whose client program runs a shell on the device, see `base.Transport`."""

    def push(self, files: Mapping[str, bytes]) -> None:
        if not files:
            return
        places = {path: posixpath.split(self._own(path)) for path in files}
        folders = sorted({folder for folder, _ in places.values()})
        aside = f".pushed-{new_token()}"
        contents = {
            f"{folders.index(folder)}/{name}": files[path]
            for path, (folder, name) in places.items()
        }
        try:
            self._send(aside, contents)
            self._shell("the files cannot be put in place", _PLACE, aside, *folders)
        except BaseException:
            with contextlib.suppress(DeviceError):
                if self._is_connected():
                    self._shell("the files cannot be removed", 'rm -rf "$1"', aside)
            raise

    def pull(self, path: str) -> bytes:
        completed = self.run(["cat", "--", path], timeout=SECONDS_FOR_SMALL)
        return self._require(f"{path!r} cannot be read", completed).output

    def sizes(self, folder: str) -> dict[str, int]:
        output = self._shell(f"the files in {folder!r} cannot be listed", _SIZES, folder).output
        sizes = {}
        for line in output.decode(errors="surrogateescape").splitlines():
            size, _, name = line.strip().partition(" ./")
            if name and size.isdecimal():
                sizes[name] = int(size)
        return sizes

    def remove(self, paths: Sequence[str]) -> None:
        own = [self._own(path, itself=True) for path in paths]
        if own:
            self._shell("the files cannot be removed", 'cd / && rm -rf "$@"', *own)

    def _send(self, aside: str, contents: Mapping[str, bytes]) -> None:
        """Write files into a new folder.

        Args:
            aside: the new folder, relative to `folder`.
            contents: path in that folder, "NUMBER/NAME" → content.
        """
        file = io.BytesIO()
        with tarfile.open(fileobj=file, mode="w", format=tarfile.GNU_FORMAT) as archive:
            for name, content in contents.items():
                entry = tarfile.TarInfo(name)
                entry.size, entry.mode = len(content), 0o700
                archive.addfile(entry, io.BytesIO(content))
        self._shell("the files cannot be written", _UNPACK, aside, stdin=file.getvalue())

    def _own(self, path: str, *, itself: bool = False) -> str:
        """Return the absolute form of a path that is written or removed.

        Raises:
            DeviceError: it does not lie in `folder`, or a listing would not show it.
        """
        full = posixpath.normpath(posixpath.join(self.folder, path))
        inside = full.startswith(self.folder + "/") or (itself and full == self.folder)
        if not inside or ".." in path.split("/"):
            raise DeviceError(
                f"{path!r} does not lie in {self.folder!r}, where everything of ours is"
            )
        if posixpath.basename(full).startswith(".") and not itself:
            raise DeviceError(f"{path!r} is a hidden file; drop the dot")
        return full
