"""A device reached by Android's debug bridge (`adb`)."""

from __future__ import annotations

import subprocess
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from gnv2_nas.devices.transports.adb_failures import (
    explain_failure,
    explain_missing,
    explain_state,
)
from gnv2_nas.devices.transports.base import last_line
from gnv2_nas.devices.transports.client import run_client
from gnv2_nas.devices.transports.script import READ_SCRIPT
from gnv2_nas.devices.transports.shell import BYTES_PER_SECOND, FULL, SECONDS_FOR_SMALL
from gnv2_nas.devices.transports.shell_files import ShellTransport
from gnv2_nas.errors import DeviceError, InputError
from gnv2_nas.files.writing import write_error

SECONDS_TO_ANSWER = 30.0
"""Limit for the server of adb, which starts when it is first asked."""
SECONDS_TO_WAKE = 5.0
"""A device that was just connected is "offline" for a moment."""
_PASSING = {"offline", "connecting", "authorizing"}
_FOLDER = "${TMPDIR:-/data/local/tmp}"
"""Where a shell on an Android device may write and execute; Android itself sets TMPDIR to it."""


class AdbTransport(ShellTransport):
    """A device reached by adb.

    Args:
        name: see `ShellTransport`.
        serial: serial number that `adb devices` shows; for a device in the network, its address
            and port. "" for the only device that is connected.
    """

    def __init__(self, name: str, serial: str = "") -> None:
        super().__init__(name)
        self._serial = serial
        self._folder = ""
        self._ready = False
        self._connecting = threading.Lock()

    @property
    def folder(self) -> str:
        if not self._folder:
            self._connect()
        return self._folder

    @property
    def serial(self) -> str:
        """Serial number; "" if none was given and the device was not reached yet."""
        return self._serial

    def describe(self) -> str:
        return f"adb {self._serial}".strip()

    def _client(self) -> list[str]:
        self._connect()
        return ["adb", "-s", self._serial, "shell", "-T", READ_SCRIPT]

    def _is_connected(self) -> bool:
        return self._ready

    def _connect(self) -> None:
        """Find the device and our folder on it, once and after each failure."""
        with self._connecting:
            if self._ready:
                return
            self._serial = _find_device(self._serial)
            where = f"adb {self._serial}"
            if "shell_v2" not in _ask(where, "-s", self._serial, "features").split():
                raise DeviceError(
                    f"{where}: its Android is too old to tell how a command ended; "
                    "Android 7 or later is needed"
                )
            told = _ask(where, "-s", self._serial, "shell", "-T", f"echo {_FOLDER}")
            self._folder = f"{told.strip()}/gnv2-nas/{self._name}"
            self._ready = True

    def _explain_client(
        self, command: Sequence[str], token: str, code: int, errors: bytes
    ) -> DeviceError:
        self._ready = False
        return super()._explain_client(command, token, code, errors)

    def _explain(self, code: int, errors: str) -> DeviceError:
        return explain_failure(self.describe(), code, errors)

    def _send(self, aside: str, contents: Mapping[str, bytes]) -> None:
        size = sum(map(len, contents.values()))
        with tempfile.TemporaryDirectory(prefix="gnv2-nas-") as folder:
            _write_files(Path(folder) / aside, contents)
            self._shell("the files cannot be written", "true")  # makes our folder
            command = ["adb", "-s", self._serial, "push", f"{folder}/{aside}", f"{self.folder}/"]
            try:
                code, output, errors = run_client(
                    command,
                    b"",
                    hold_input=False,
                    timeout=SECONDS_FOR_SMALL + size / BYTES_PER_SECOND,
                )
            except subprocess.TimeoutExpired as late:
                raise DeviceError(
                    f"{self.describe()}: sending {size} bytes took longer than {late.timeout:.0f} s"
                ) from None
        if code:
            said = (output + errors).decode(errors="replace")
            if FULL.search(said) or "remote" in last_line(said):
                raise self._file_error("the files cannot be written", code, output + errors)
            raise explain_failure(self.describe(), code, said)


def _write_files(folder: Path, contents: Mapping[str, bytes]) -> None:
    """Write files that adb reads, on this machine."""
    for name, content in contents.items():
        path = folder / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
            path.chmod(0o700)
        except OSError as error:
            raise write_error(path, error) from None


def _find_device(serial: str) -> str:
    """Return the serial number of the device that is meant.

    Raises:
        InputError: several are connected, and `serial` is empty.
        DeviceError: it is not connected, or not ready.
    """
    _ask("adb", "start-server")
    states = _list_devices()
    if ":" in serial and states.get(serial) in {None, "offline"}:
        # A device in the network; a connection that was lost is made again.
        said = _ask("adb", "connect", serial)
        states = _list_devices()
        if serial not in states:
            raise DeviceError(explain_missing(serial, last_line(said)))
    if not serial:
        if len(states) > 1:
            raise InputError(
                f"several devices are connected ({', '.join(sorted(states))}); "
                "name one, as in adb://SERIAL"
            )
        serial = next(iter(states), "")
    late = time.monotonic() + SECONDS_TO_WAKE
    while states.get(serial) in _PASSING and time.monotonic() < late:
        time.sleep(0.1)
        states = _list_devices()
    state = states.get(serial)
    if state is None:
        raise DeviceError(explain_missing(serial))
    if state != "device":
        raise DeviceError(explain_state(serial, state))
    return serial


def _list_devices() -> dict[str, str]:
    """Return serial number → state of the devices that are connected."""
    lines = _ask("adb", "devices").splitlines()
    pairs = (line.split("\t", 1) for line in lines if "\t" in line)
    return {serial: state.split(";")[0].split("(")[0].strip() for serial, state in pairs}


def _ask(where: str, *arguments: str) -> str:
    """Return the output of an adb command that must succeed."""
    try:
        code, output, errors = run_client(
            ["adb", *arguments], b"", hold_input=False, timeout=SECONDS_TO_ANSWER
        )
    except subprocess.TimeoutExpired:
        raise DeviceError(
            f"{where}: no answer to `adb {arguments[0]}`; restart its server with `adb kill-server`"
        ) from None
    if code:
        raise explain_failure(where, code, (output + errors).decode(errors="replace"))
    return output.decode(errors="replace")
