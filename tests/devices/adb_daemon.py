"""A small Android debug daemon on loopback, for the real `adb` client.

It speaks the documented protocol of adb (packages/modules/adb: protocol.txt, SERVICES.TXT,
SYNC.TXT): CNXN without authentication, OPEN of `shell,v2` and `sync:` with STAT, SEND and QUIT,
OKAY, WRTE and CLSE. Commands run in this machine's shell with `TMPDIR` as on a phone, in a folder
that is given.

In a test that uses the fixture `phone`, `adb devices` of a private server shows it, and
`AdbTransport("box", phone.serial)` reaches it; a server and keys of the user's own are not touched.
`tests/conftest.py` makes the fixture known.
"""

from __future__ import annotations

import contextlib
import errno
import os
import queue
import shutil
import socket
import struct
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import pytest

CNXN, AUTH, OPEN, OKAY, WRTE, CLSE = (
    int.from_bytes(word, "little")
    for word in (b"CNXN", b"AUTH", b"OPEN", b"OKAY", b"WRTE", b"CLSE")
)
VERSION, MAX_PAYLOAD = 0x01000001, 1 << 18
BANNER = b"device::ro.product.name=box;ro.product.model=Box;ro.product.device=box;features=%s"
STDIN, STDOUT, STDERR, EXIT, CLOSE_STDIN = range(5)
"""Packets of the shell protocol."""


class AdbDaemon:
    """A phone.

    Args:
        folder: its `/data/local/tmp`.
        authorized: whether it accepts the key of this machine.
        features: what it can do.
    """

    def __init__(
        self, folder: Path, *, authorized: bool = True, features: bytes = b"shell_v2,cmd"
    ) -> None:
        self.folder, self._authorized, self._features = folder, authorized, features
        self._server = socket.create_server(("127.0.0.1", 0))
        self.serial = f"127.0.0.1:{self._server.getsockname()[1]}"
        self._connections: list[_Connection] = []
        self.room = 1 << 40
        """Bytes of the largest file that its disk has room for."""
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """Cut the connections, as if the cable were drawn."""
        for connection in self._connections:
            connection.close()
        self._connections.clear()

    def stop(self) -> None:
        with contextlib.suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        self.cut()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._server.accept()
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                banner = BANNER % self._features if self._authorized else b""
                self._connections.append(_Connection(connection, self, banner))


class _Connection:
    """A connection to the server of a client, which carries streams."""

    def __init__(self, connection: socket.socket, phone: AdbDaemon, banner: bytes) -> None:
        self._socket, self.phone, self._banner = connection, phone, banner
        self._sending = threading.Lock()
        self._streams: dict[int, _Stream] = {}
        threading.Thread(target=self._read, daemon=True).start()

    def send(self, command: int, first: int, second: int, content: bytes = b"") -> None:
        head = struct.pack(
            "<6I", command, first, second, len(content), sum(content), command ^ 0xFFFFFFFF
        )
        with self._sending, contextlib.suppress(OSError):
            self._socket.sendall(head + content)

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def _read(self) -> None:
        with self._socket, self._socket.makefile("rb") as file, contextlib.suppress(OSError):
            while len(head := file.read(24)) == 24:
                command, first, second, size, _, _ = struct.unpack("<6I", head)
                self._answer(command, first, second, file.read(size))
        for stream in self._streams.values():
            stream.end()

    def _answer(self, command: int, first: int, second: int, content: bytes) -> None:
        if command in {CNXN, AUTH}:
            if self._banner:
                self.send(CNXN, VERSION, MAX_PAYLOAD, self._banner)
            else:
                self.send(AUTH, 1, 0, bytes(20))
        elif command == OPEN:
            number = len(self._streams) + 1
            stream = self._streams[number] = _Stream(self, number, first)
            service = content.rstrip(b"\0").decode(errors="surrogateescape")
            threading.Thread(target=stream.serve, args=(service,), daemon=True).start()
        elif second in self._streams:
            stream = self._streams[second]
            if command == WRTE:
                stream.received.put(content)
                self.send(OKAY, second, first)
            elif command == OKAY:
                stream.ready.set()
            elif command == CLSE:
                stream.end()


class _Stream:
    def __init__(self, connection: _Connection, number: int, peer: int) -> None:
        self._connection, self._number, self._peer = connection, number, peer
        self.received: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self.ready = threading.Event()
        self._ended = False
        self._writing = threading.Lock()
        self._rest = b""

    def end(self) -> None:
        """The peer is gone."""
        self._ended = True
        self.received.put(b"")
        self.ready.set()

    def serve(self, service: str) -> None:
        kind, _, argument = service.partition(":")
        if kind.startswith("shell,v2"):
            self._connection.send(OKAY, self._number, self._peer)
            self._run(argument)
        elif kind == "sync":
            self._connection.send(OKAY, self._number, self._peer)
            self._sync()
        self._connection.send(CLSE, self._number, self._peer)

    def _write(self, content: bytes) -> None:
        with self._writing:
            self.ready.clear()
            if not self._ended:
                self._connection.send(WRTE, self._number, self._peer, content)
                self.ready.wait()

    def _take(self, size: int) -> bytes:
        """Return so many bytes; fewer if the peer is gone."""
        while len(self._rest) < size and (more := self.received.get()):
            self._rest += more
        taken, self._rest = self._rest[:size], self._rest[size:]
        return taken

    def _run(self, command: str) -> None:
        folder = str(self._connection.phone.folder)
        process = subprocess.Popen(
            ["sh", "-c", command],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            bufsize=0, cwd="/", env=os.environ | {"TMPDIR": folder, "HOME": "/"},
        )  # fmt: skip
        assert process.stdin
        copying = [
            threading.Thread(target=self._copy, args=each)
            for each in ((process.stdout, STDOUT), (process.stderr, STDERR))
        ]
        feeding = threading.Thread(target=self._feed, args=(process.stdin,), daemon=True)
        for thread in (*copying, feeding):
            thread.start()
        for thread in copying:
            thread.join()
        code = process.wait()
        self._write(struct.pack("<BIB", EXIT, 1, code if code >= 0 else 128 - code))
        self.received.put(b"")
        feeding.join()

    def _copy(self, pipe: IO[bytes], kind: int) -> None:
        with pipe:
            while content := os.read(pipe.fileno(), 1 << 15):
                self._write(struct.pack("<BI", kind, len(content)) + content)

    def _feed(self, pipe: IO[bytes]) -> None:
        with pipe:
            while len(head := self._take(5)) == 5:
                kind, size = struct.unpack("<BI", head)
                content = self._take(size)
                if kind == CLOSE_STDIN:
                    pipe.close()
                elif kind == STDIN:
                    with contextlib.suppress(OSError, ValueError):
                        pipe.write(content)

    def _sync(self) -> None:
        while len(head := self._take(8)) == 8:
            kind, size = head[:4], int.from_bytes(head[4:], "little")
            path = self._take(size).decode(errors="surrogateescape")
            if kind == b"STAT":
                with contextlib.suppress(OSError):
                    found = Path(path).lstat()
                    stat = found.st_mode, found.st_size, int(found.st_mtime)
                    self._write(b"STAT" + struct.pack("<3I", *stat))
                    continue
                self._write(b"STAT" + bytes(12))
            elif kind == b"SEND":
                self._receive_file(*path.rsplit(",", 1))
            else:
                break

    def _receive_file(self, path: str, mode: str) -> None:
        content = b""
        while (head := self._take(8))[:4] == b"DATA":
            content += self._take(int.from_bytes(head[4:], "little"))
        try:
            Path(path).parent.mkdir(parents=True, exist_ok=True)
            if len(content) > self._connection.phone.room:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            Path(path).write_bytes(content)
            Path(path).chmod(int(mode) & 0o777)
        except OSError as refused:
            reason = f"write failed: {refused.strerror}".encode()
            self._write(b"FAIL" + struct.pack("<I", len(reason)) + reason)
        else:
            self._write(b"OKAY" + bytes(4))


@pytest.fixture(scope="session")
def adb_server() -> Iterator[dict[str, str]]:
    """The environment in which `adb` talks to a server of our own."""
    if shutil.which("adb") is None:
        pytest.skip("needs Android's debug bridge: install it as 'adb'")
    with socket.create_server(("127.0.0.1", 0)) as server, tempfile.TemporaryDirectory() as home:
        port = str(server.getsockname()[1])
        server.close()
        environment = {"ANDROID_ADB_SERVER_PORT": port, "HOME": home}
        yield environment
        subprocess.run(["adb", "kill-server"], env=os.environ | environment, check=False)


@pytest.fixture(scope="session")
def running_phone(adb_server: dict[str, str]) -> Iterator[AdbDaemon]:
    with tempfile.TemporaryDirectory(prefix="phone-") as folder:
        daemon = AdbDaemon(Path(folder))
        yield daemon
        daemon.stop()


@pytest.fixture
def phone(
    running_phone: AdbDaemon, adb_server: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> AdbDaemon:
    """A phone that this machine's `adb` is connected to."""
    for name, value in adb_server.items():
        monkeypatch.setenv(name, value)
    subprocess.run(["adb", "connect", running_phone.serial], check=True, stdout=subprocess.DEVNULL)
    return running_phone
