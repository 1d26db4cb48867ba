"""This machine as a device: commands are processes of their own."""

from __future__ import annotations

import os
from pathlib import Path

from gnv2_nas.devices.transports.base import last_line
from gnv2_nas.devices.transports.script import READ_SCRIPT
from gnv2_nas.devices.transports.shell_files import ShellTransport
from gnv2_nas.errors import ConnectionLostError, DeviceError


class LocalTransport(ShellTransport):
    """This machine.

    Args:
        name: name of the device profile.
        folder: folder for files (default: `~/.cache/gnv2-nas/NAME`).
    """

    def __init__(self, name: str, folder: Path | None = None) -> None:
        super().__init__(name)
        chosen = folder or Path("~/.cache/gnv2-nas").expanduser() / name
        self._folder = os.path.normpath(chosen.absolute())

    @property
    def folder(self) -> str:
        return self._folder

    def describe(self) -> str:
        return "this machine"

    def _client(self) -> list[str]:
        return ["sh", "-c", READ_SCRIPT]

    def _explain(self, code: int, errors: str) -> DeviceError:
        return ConnectionLostError(
            f"a shell on this machine ended with exit code {code}: {last_line(errors)}"
        )
