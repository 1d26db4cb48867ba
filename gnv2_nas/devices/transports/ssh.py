"""A device reached by the OpenSSH client, with the user's own configuration, agent and keys."""

from __future__ import annotations

import re
import threading
import weakref

from gnv2_nas.devices.transports.script import READ_SCRIPT
from gnv2_nas.devices.transports.shell_files import ShellTransport
from gnv2_nas.devices.transports.ssh_connection import OPTIONS, SshConnection
from gnv2_nas.devices.transports.ssh_failures import explain_failure
from gnv2_nas.errors import DeviceError, ProfileError

_WORD = r"(?!-)[^@\s:/\[\];&|<>()$`'\"\\]+"
"""Without what a shell acts on: ssh puts user and host into the user's own ProxyCommand."""
_HOST = re.compile(
    rf"(?:(?P<user>{_WORD})@)?(?P<host>\[[0-9A-Fa-f:.%\w]+\]|{_WORD})(?::(?P<port>\d{{1,5}}))?"
)
_MAX_PORT = 65535


class SshTransport(ShellTransport):
    """A device reached by ssh. One connection carries all commands; it is made when first needed,
    and again when it was cut.

    Args:
        name: see `ShellTransport`.
        host: [user@]name[:port], as OpenSSH and its configuration know it.

    Raises:
        ProfileError: `host` is not of that form.
    """

    def __init__(self, name: str, host: str) -> None:
        super().__init__(name)
        self._host = host
        self._destination = _read_host(host)
        self._connection: SshConnection | None = None
        self._connecting = threading.Lock()
        self._home = ""

    @property
    def folder(self) -> str:
        if not self._home:
            self._home = self._connect().home
        return f"{self._home}/.cache/gnv2-nas/{self._name}"

    def describe(self) -> str:
        return f"ssh {self._host}"

    def close(self) -> None:
        super().close()
        with self._connecting:
            if self._connection is not None:
                self._connection.close()
            self._connection = None

    def _client(self) -> list[str]:
        socket = self._connect().socket
        return [
            "ssh",
            *OPTIONS,
            "-S",
            socket,
            "-o",
            "ControlMaster=no",
            *self._destination,
            READ_SCRIPT,
        ]

    def _connect(self) -> SshConnection:
        with self._connecting:
            if self._connection is None or not self._connection.is_alive():
                if self._connection is not None:
                    self._connection.close()
                    self._connection = None
                self._connection = SshConnection(self._host, self._destination)
                weakref.finalize(self, self._connection.close)
            return self._connection

    def _is_connected(self) -> bool:
        return self._connection is not None and self._connection.is_alive()

    def _explain(self, code: int, errors: str) -> DeviceError:
        return explain_failure(self._host, code, errors)


def _read_host(host: str) -> list[str]:
    """Return the arguments of ssh that name a host."""
    found = _HOST.fullmatch(host)
    if found is None or not 0 < int(found["port"] or 22) <= _MAX_PORT:
        raise ProfileError(
            f"host {host!r} is not of the form [USER@]NAME[:PORT], such as pi@raspberrypi.local"
        )
    name = found["host"].strip("[]")
    port = ["-p", found["port"]] if found["port"] else []
    return [*port, "--", f"{found['user']}@{name}" if found["user"] else name]
