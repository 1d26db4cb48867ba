"""ssh keeps the contract of transports; each failure has its line."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

from gnv2_nas.devices.profile import DeviceProfile
from gnv2_nas.devices.transports import open_transport
from gnv2_nas.devices.transports.ssh import SshTransport
from gnv2_nas.errors import ConnectionLostError, DeviceError, ProfileError
from tests.devices.ssh_server import SshServer
from tests.devices.transports.transport_contract import ALONE, TransportContract, small_files
from tests.waiting import all_gone, until


@pytest.fixture(scope="session")
def open_once() -> Iterator[SshTransport]:
    """One connection for all tests; each finds an empty folder."""
    transport = SshTransport("box", "board")
    yield transport
    transport.close()


@pytest.fixture
def board(ssh_client, open_once) -> Iterator[SshTransport]:
    yield open_once
    open_once.remove(["."])


def read_pid(server: SshServer) -> int:
    """Return the process that wrote its number into the file `pid`, once it has."""
    file = server.home / ".cache/gnv2-nas/box/pid"
    until(lambda: file.exists() and file.read_text())
    return int(file.read_text())


class TestSshTransport(TransportContract):
    @pytest.fixture
    def transport(self, board):
        return board

    @pytest.fixture
    def full_disk(self, transport, ssh_client):
        transport.run(["true"], timeout=20)
        return small_files(ssh_client.connections())


def test_the_folder_is_in_the_users_cache(board, ssh_client):
    assert board.folder == f"{ssh_client.home}/.cache/gnv2-nas/box"


def test_one_connection_carries_all_commands(board, ssh_client):
    board.run(["true"], timeout=20)
    connections = ssh_client.connections()
    with board.start(["cat"]):
        board.push({"a": b"1"})
        assert ssh_client.connections() == connections


@pytest.mark.parametrize("reads", ["run", "start"])
def test_a_cut_connection(board, ssh_client, reads):
    def cut() -> None:
        read_pid(ssh_client)
        ssh_client.cut()

    def run() -> None:
        if reads == "run":
            board.run(["sh", "-c", ALONE], timeout=60)
        else:
            with board.start(["sh", "-c", "echo $$ > pid; exec cat"]) as running:
                list(running.lines())

    cutting = threading.Thread(target=cut)
    cutting.start()
    with pytest.raises(ConnectionLostError, match="connection to ssh board was cut while 'sh' ran"):
        run()
    cutting.join()
    until(lambda: all_gone([read_pid(ssh_client)]))
    assert board.run(["echo", "again"], timeout=20).output == b"again\n"


HOST = f"""
from gnv2_nas.devices.transports.ssh import SshTransport
SshTransport("box", "board").run(["sh", "-c", {ALONE!r}], timeout=60)
"""


def test_a_killed_host_leaves_nothing_running(board, ssh_client):
    board.close()
    ssh_client.cut()  # connections of tests before
    with subprocess.Popen([sys.executable, "-c", HOST]) as host:
        pid = read_pid(ssh_client)
        host.kill()
    until(lambda: all_gone([pid]))
    until(lambda: not ssh_client.connections())


def test_a_connection_that_is_cut_while_files_are_sent(board, ssh_client):
    board.run(["true"], timeout=20)
    folder = ssh_client.home / ".cache/gnv2-nas/box"

    def cut() -> None:
        until(lambda: list(folder.glob(".pushed-*/*/*")))
        ssh_client.cut()

    cutting = threading.Thread(target=cut)
    cutting.start()
    with pytest.raises(ConnectionLostError):
        board.push({"large": bytes(96 << 20)})
    cutting.join()
    assert not board.sizes(".")
    until(lambda: not list(folder.glob(".*")))


@pytest.mark.parametrize(
    ("host", "message"),
    [
        ("unknown", "host key is unknown; connect once with `ssh unknown` and compare"),
        ("changed", "host key has changed: .*`ssh-keygen -R changed`"),
        ("stranger", r"refuses this user and these keys \(.*Permission denied.*ssh-copy-id"),
        ("noshell", "the login shell of this user runs no commands; give"),
        ("refusing", "refuses connections; start its ssh server, or name"),
    ],
)
def test_a_device_that_cannot_be_reached(ssh_client, host, message):
    with pytest.raises(DeviceError, match=f"^ssh {host}: .*{message}"):
        SshTransport("box", host).run(["true"], timeout=20)


def test_a_name_that_does_not_resolve():
    with pytest.raises(DeviceError, match=r"no such name in the network|cannot be resolved now"):
        SshTransport("box", "no-such-host.invalid").run(["true"], timeout=20)


@pytest.mark.parametrize(
    "host", ["", "-oProxyCommand=x", "a b", "user@", "a:0", "a:99999", "a;b c", "$(id)@a"]
)
def test_a_host_that_is_none(host):
    with pytest.raises(ProfileError, match="is not of the form"):
        open_transport("box", DeviceProfile("", transport="ssh", host=host))


def test_a_start_up_file_that_prints_changes_no_output(board, ssh_client):
    """A shell that ssh starts reads the user's start-up file in some systems."""
    server: SshServer = ssh_client
    authorized = server.folder / "authorized"
    before = authorized.read_text()
    key = before.splitlines()[0]
    authorized.write_text(
        f'command="echo Welcome; echo Welcome >&2; eval \\"$SSH_ORIGINAL_COMMAND\\"" {key}\n'
    )
    try:
        transport = SshTransport("box", "board")
        done = transport.run(["sh", "-c", "echo out; echo err >&2"], timeout=20)
        assert (done.output, done.errors.strip()) == (b"out\n", b"err")
        with transport.start(["echo", "out"]) as running:
            assert list(running.lines()) == ["out"]
        transport.close()
    finally:
        authorized.write_text(before)
