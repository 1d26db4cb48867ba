"""A line to a PostgreSQL server that breaks after a COMMIT and before its answer."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

SOCKET = ".s.PGSQL.5432"


class CutLine:
    """Passes on what client and server say; `cut` loses the answer to the next COMMIT."""

    def __init__(self, folder: Path, server: Path) -> None:
        self.cut = threading.Event()
        self.was_cut = threading.Event()
        self._server = server / SOCKET
        self._listening = socket.socket(socket.AF_UNIX)
        self._listening.bind(str(folder / SOCKET))
        self._listening.listen()
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                thread = threading.Thread(target=self._serve, args=(client,))
                self._threads.append(thread)
                thread.start()

    def _serve(self, client: socket.socket) -> None:
        with client, socket.socket(socket.AF_UNIX) as server:
            server.connect(str(self._server))
            back = threading.Thread(target=self._pass_back, args=(server, client))
            back.start()
            while said := client.recv(1 << 16):
                server.sendall(said)
                if self.cut.is_set() and b"COMMIT" in said:
                    break
            server.shutdown(socket.SHUT_WR)
            back.join()

    def _pass_back(self, server: socket.socket, client: socket.socket) -> None:
        with suppress(OSError):
            while said := server.recv(1 << 16):
                # "C", a length, "COMMIT": the server's word that it is done.
                if self.cut.is_set() and b"COMMIT\x00" in said:
                    self.cut.clear()
                    self.was_cut.set()
                    client.shutdown(socket.SHUT_RDWR)
                    return
                client.sendall(said)
            client.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        for thread in self._threads:
            thread.join()


@contextmanager
def cut_line(folder: Path, server: Path) -> Iterator[CutLine]:
    """Listens in `folder` for clients of the server that listens in `server`."""
    line = CutLine(folder, server)
    try:
        yield line
    finally:
        line.close()
