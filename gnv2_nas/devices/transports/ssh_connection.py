"""One connection to a device, which all commands share (OpenSSH's ControlMaster)."""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO, cast

from gnv2_nas.devices.transports.client import end_client, open_client
from gnv2_nas.devices.transports.script import new_token
from gnv2_nas.devices.transports.ssh_failures import explain_failure, may_pass
from gnv2_nas.errors import DeviceError

SECONDS_TO_CONNECT = 10
"""Limit for the network; asking agents and checking keys comes on top."""
SECONDS_TO_LOG_IN = 30.0
ATTEMPTS = 3
PAUSE = 1.0
"""Seconds before the next attempt to connect."""
_SECONDS_OF_SILENCE = 4
_SILENCES = 2
"""A cut connection is noticed after (2 + 1) · 4 = 12 s."""
_MAX_SOCKET = 104 - 18
"""Bytes of the path of a socket, without what ssh appends while it makes the socket."""

OPTIONS = (
    "-T", "-a", "-x",
    "-o", "BatchMode=yes",
    "-o", "LogLevel=INFO",
    "-o", f"ConnectTimeout={SECONDS_TO_CONNECT}",
    "-o", f"ServerAliveInterval={_SECONDS_OF_SILENCE}",
    "-o", f"ServerAliveCountMax={_SILENCES}",
    "-o", "ControlPersist=no",
    "-o", "ClearAllForwardings=yes",
    "-o", "PermitLocalCommand=no",
    "-o", "RemoteCommand=none",
)  # fmt: skip
"""What differs from the user's own configuration. Unknown host keys are refused, because nobody can
be asked (BatchMode), unless that configuration says otherwise."""


class SshConnection:
    """A connection that is open.

    Args:
        host: the host as the user wrote it, for messages.
        destination: arguments of ssh that name the host.

    Raises:
        DeviceError: the device cannot be reached, or lets nobody in.
    """

    def __init__(self, host: str, destination: Sequence[str]) -> None:
        self._folder = _make_folder()
        self.socket = f"{self._folder}/s"
        try:
            self._process, self.home = self._connect(host, destination)
        except BaseException:
            shutil.rmtree(self._folder, ignore_errors=True)
            raise

    def is_alive(self) -> bool:
        return self._process.poll() is None and Path(self.socket).exists()

    def close(self) -> None:
        """End the connection and all commands that use it."""
        # ssh ends commands in order when it is asked to, and not when it is killed.
        self._process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(1.0)
        end_client(self._process)
        shutil.rmtree(self._folder, ignore_errors=True)

    def _connect(
        self, host: str, destination: Sequence[str]
    ) -> tuple[subprocess.Popen[bytes], str]:
        for attempt in range(1, ATTEMPTS + 1):
            with tempfile.TemporaryFile() as errors:
                process = self._start(destination, errors)
                try:
                    if home := _read_home(process, self._token):
                        return process, home
                    code = process.wait(1.0)
                except subprocess.TimeoutExpired:
                    code = 255
                except BaseException:
                    end_client(process)
                    raise
                end_client(process)
                errors.seek(0)
                said = errors.read().decode(errors="replace")
            if attempt == ATTEMPTS or not may_pass(said):
                break
            time.sleep(PAUSE)
        raise explain_failure(host, code, said)

    def _start(self, destination: Sequence[str], errors: IO[bytes]) -> subprocess.Popen[bytes]:
        # The command on the device ends with its input, that is, with this process. So does the
        # connection then.
        self._token = new_token()
        greeting = f"exec sh -c 'echo {self._token} $HOME; exec cat'"
        arguments = ["ssh", *OPTIONS, "-M", "-S", self.socket, *destination, greeting]
        return open_client(arguments, errors)


def _read_home(process: subprocess.Popen[bytes], token: str) -> str:
    """Return the home folder on the device; "" if the connection was not made."""
    output, received = cast(IO[bytes], process.stdout), b""
    late = time.monotonic() + SECONDS_TO_LOG_IN
    mark = f"{token} ".encode()
    while b"\n" not in received.partition(mark)[2]:
        left = late - time.monotonic()
        if left <= 0 or not select.select([output], [], [], left)[0]:
            return ""
        if not (more := os.read(output.fileno(), 1 << 12)):
            return ""
        received += more
    return received.partition(mark)[2].partition(b"\n")[0].decode(errors="surrogateescape")


def _make_folder() -> str:
    """Make a folder that only this user can enter, with a path short enough for a socket."""
    choices = [os.environ.get("XDG_RUNTIME_DIR"), tempfile.gettempdir(), "/tmp"]  # noqa: S108
    for choice in choices:
        if choice and os.access(choice, os.W_OK) and len(f"{choice}/gnv2-12345678/s") < _MAX_SOCKET:
            return tempfile.mkdtemp(prefix="gnv2-", dir=choice)
    raise DeviceError(
        f"no folder for the socket of ssh: {tempfile.gettempdir()!r} is too long; "
        "set TMPDIR to a folder with a short path"
    )
