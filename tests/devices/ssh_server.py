"""A real ssh server on loopback, with keys, port, configuration and user folder of its own.

`ssh_server` starts it once per test process. In a test that uses the fixture `ssh_client`, the host
`board` is the device: `SshTransport("box", "board")`, `devices add box ssh://board`, `ssh board`;
nothing of the user's own is read or changed. `tests/conftest.py` makes both fixtures known.

`SshServer.home` is the home folder on the device, so its cache is `home / ".cache"`. Its temporary
folder and with it its device lock are its own, too, as on another machine.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.waiting import all_gone, read_of_process, until

SSHD = "/usr/sbin/sshd"

_SERVER = """\
Port {port}
ListenAddress 127.0.0.1
HostKey {folder}/host
AuthorizedKeysFile {folder}/authorized
StrictModes no
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin yes
MaxStartups 100
PidFile none
SetEnv HOME={folder}/home TMPDIR={folder}/tmp
"""

_CLIENT = """\
Host board unknown changed refusing
  IdentityFile {folder}/user
Host unknown
  UserKnownHostsFile {folder}/none
Host changed
  UserKnownHostsFile {folder}/changed
Host stranger
  IdentityFile {folder}/stranger
Host noshell
  IdentityFile {folder}/noshell
Host refusing
  Port {unused}
Host *
  HostName 127.0.0.1
  Port {port}
  IdentitiesOnly yes
  IdentityAgent none
  UserKnownHostsFile {folder}/known
  GlobalKnownHostsFile /dev/null
"""
"""Hosts: `board`, and one for each way in which a connection fails."""


class SshServer:
    """A server that runs until `stop`.

    Args:
        folder: an empty folder with a short path.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.home = folder, folder / "home"
        self.home.mkdir()
        (folder / "tmp").mkdir()
        with socket.socket() as one, socket.socket() as other:
            one.bind(("127.0.0.1", 0))
            other.bind(("127.0.0.1", 0))
            self.port, unused = one.getsockname()[1], other.getsockname()[1]
        names = {"folder": folder, "port": self.port, "unused": unused}
        self._make_keys()
        (folder / "server.conf").write_text(_SERVER.format(**names))
        (folder / "client.conf").write_text(_CLIENT.format(**names))
        programs = folder / "programs"
        programs.mkdir()
        for name in ("ssh", "sftp", "scp"):
            program = programs / name
            program.write_text(
                f'#!/bin/sh\nexec {shutil.which(name)} -F {folder}/client.conf "$@"\n'
            )
            program.chmod(0o755)
        self.programs = programs
        """Put this folder first in PATH, and `ssh` is the one that knows the server."""
        if os.getuid() == 0:
            Path("/run/sshd").mkdir(parents=True, exist_ok=True)  # sshd wants it
        with (folder / "log").open("wb") as log:
            self._process = subprocess.Popen(
                [SSHD, "-D", "-e", "-f", folder / "server.conf"],
                stderr=log,
                stdin=subprocess.DEVNULL,
            )
        until(self._listens)

    def connections(self) -> list[int]:
        """The processes of the server that carry a connection."""
        found, parents = [], [self._process.pid]
        for parent in parents:
            for child in read_of_process(parent, f"task/{parent}/children").split():
                if read_of_process(int(child), "comm").strip() == "sshd":
                    found.append(int(child))
                    parents.append(int(child))
        return found

    def cut(self) -> None:
        """Cut all connections, as if the device had lost its power: nobody says goodbye."""
        pids = self.connections()
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        until(lambda: all_gone(pids))

    def stop(self) -> None:
        self.cut()
        self._process.terminate()
        self._process.wait()

    def _listens(self) -> bool:
        assert self._process.poll() is None, (self.folder / "log").read_text()
        with socket.socket() as connection:
            return connection.connect_ex(("127.0.0.1", self.port)) == 0

    def _make_keys(self) -> None:
        for name in ("host", "user", "stranger", "noshell"):
            path = self.folder / name
            subprocess.run(
                ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", path], check=True
            )
        public = {each.stem: each.read_text().strip() for each in self.folder.glob("*.pub")}
        (self.folder / "authorized").write_text(
            f'{public["user"]}\ncommand="/usr/sbin/nologin" {public["noshell"]}\n'
        )
        where = f"[127.0.0.1]:{self.port}"
        (self.folder / "known").write_text(f"{where} {public['host']}\n")
        (self.folder / "changed").write_text(f"{where} {public['stranger']}\n")


@pytest.fixture(scope="session")
def ssh_server() -> Iterator[SshServer]:
    if not Path(SSHD).exists():
        pytest.skip("needs the OpenSSH server: install it as 'openssh-server'")
    with tempfile.TemporaryDirectory(prefix="ssh-") as folder:
        server = SshServer(Path(folder))
        yield server
        server.stop()


@pytest.fixture
def ssh_client(ssh_server: SshServer, monkeypatch: pytest.MonkeyPatch) -> SshServer:
    """The server, and an `ssh` that knows it."""
    monkeypatch.setenv("PATH", f"{ssh_server.programs}{os.pathsep}{os.environ['PATH']}")
    return ssh_server
