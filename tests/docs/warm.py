"""Runs the documentation's commands in forks of one process that has imported everything heavy.

To import torch, Optuna and the others takes longer than most of the shortened commands. The
stand-in for `gnv2-nas` is a client (`ask.py`): it hands its arguments, working directory,
environment and streams over a Unix socket, and ends with the exit code of the fork.
"""

from __future__ import annotations

import json
import os
import socket
import sys

from tests.docs.shortened import run, shorten
from tests.forks import import_heavy

READY = "ready"


def serve(path: str) -> list[str]:
    """Listen for good. Returns in the forks only: the arguments of each."""
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(path)
        listening.listen()
        print(READY, flush=True)
        while True:
            connection, _ = listening.accept()
            with connection:
                asked, streams = _receive(connection)
                child = os.fork()
                if child == 0:
                    _become(asked, streams)
                    arguments: list[str] = asked["arguments"]
                    return arguments
                for stream in streams:
                    os.close(stream)
                _, status = os.waitpid(child, 0)
                connection.sendall(bytes([os.waitstatus_to_exitcode(status) & 0xFF]))


def _receive(connection: socket.socket) -> tuple[dict, list[int]]:
    """What the client asks for, and its standard input, output and error."""
    _, streams, _, _ = socket.recv_fds(connection, 1, 3)
    with connection.makefile("rb") as file:
        return json.loads(file.readline()), streams


def _become(asked: dict, streams: list[int]) -> None:
    for standard, stream in enumerate(streams):
        os.dup2(stream, standard)
        os.close(stream)
    os.chdir(asked["folder"])
    os.environ.clear()
    os.environ.update(asked["environment"])


if __name__ == "__main__":
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as `gnv2-nas` does before torch is loaded
    import_heavy()
    shorten()
    run(serve(sys.argv[1]))
