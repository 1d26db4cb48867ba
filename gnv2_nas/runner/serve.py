"""The runner: a process on a device that loads and times networks as the host tells it to.

It reads one command a line from its input and writes one JSON object a line to its output. It ends
when its input ends, that is, with its connection, or when nothing was heard for `SILENCE` seconds.

==================================  =============================================================
command                             answers
==================================  =============================================================
(start)                             ``{"event": "ready", "protocol": 1, "machine": {…}}``
``network NUMBER FILE…``            none; the files of a network
``image SIDE FILE``                 none; only the native runner needs the image as a file
``load NUMBER``                     ``{"event": "loaded", "logits": […]}``
``session SECONDS LOADING ROUNDS``  ``{"event": "rounds", "rounds": [[visit…]…]}`` …, then
                                    ``{"event": "done"}``; see `rounds.SessionOrder`. LOADING is
                                    ``2,0,1``, ROUNDS ``0,1,2;2,1,0``. Before them,
                                    ``{"event": "read"}`` may tell that a network was loaded
``memory NUMBER MINIMAL``           ``{"event": "memory", "bytes": …}``, see `peak_memory`
``lock exclusive`` or ``shared``    ``{"event": "waiting", "message": …}`` if another process has
                                    the lock, then ``{"event": "locked"}``
``unlock``                          ``{"event": "unlocked"}``
``conditions PATTERN…``             ``{"event": "conditions", "files": {path: text…}}``, see
                                    `conditions.read_files`
``forget``                          none; drops all networks
``alive``                           none; the host is still there
==================================  =============================================================

A network that the engine refuses is answered with ``{"event": "refused", "message": …}``, any other
error with ``{"event": "failed", "message": …}``, after which the runner ends. Paths contain no
spaces.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import queue
import select
import sys
import threading
import time
import traceback
from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

from gnv2_nas.cores import check_cores
from gnv2_nas.errors import Gnv2NasError, MeasurementError, first_line
from gnv2_nas.runner import huge_pages
from gnv2_nas.runner.conditions import read_files
from gnv2_nas.runner.lock import DeviceLock
from gnv2_nas.runner.machine import read_machine
from gnv2_nas.runner.peak_memory import measure_peak_memory
from gnv2_nas.runner.rounds import Run, SessionOrder, Visit, run_session
from gnv2_nas.runner.sessions import ENGINES, open_session
from gnv2_nas.runner.timing import Session, timer_of

PROTOCOL = 1
SILENCE = 120.0
"""The host says "alive" more often than this, in seconds."""
MAX_LOGITS = 1 << 16
"""As many classes as a network of ours can have; the output of another tool's may be an image."""
SECONDS_BETWEEN_REPORTS = 1.0
"""Writing wakes the process that sends the output on, so rounds are reported in bundles."""


class Runner:
    """The networks of one host.

    Args:
        engine: a key of `ENGINES`.
        threads: number of threads of the engine.
        precision: see `open_session`.
        processor: see `open_session`.
        pace: seconds from the start of a call to the start of the next; 0 for no pause.
    """

    def __init__(
        self, engine: str, threads: int, precision: str, processor: str, pace: float
    ) -> None:
        self._open = partial(
            open_session, engine, threads=threads, precision=precision, processor=processor
        )
        self._peak_memory = partial(
            measure_peak_memory,
            engine=engine, threads=threads, precision=precision, processor=processor,
        )  # fmt: skip
        self._timer = timer_of(processor)
        self._pace = pace
        self._files: dict[int, Sequence[str]] = {}
        self._fresh: dict[int, Session] = {}
        self._locks = ExitStack()

    def answer(self, command: str, *words: str) -> None:
        """Carry out one command and write its answers."""
        if command == "network":
            self._files[int(words[0])] = words[1:]
        elif command == "load":
            self._load(int(words[0]))
        elif command == "session":
            self._run_session(*words)
        elif command == "memory":
            network, minimal = (self._files[int(word)] for word in words)
            write(event="memory", bytes=self._peak_memory(network, minimal))
        elif command == "lock":
            self._lock(words[0])
        elif command == "unlock":
            self._locks.close()
            write(event="unlocked")
        elif command == "conditions":
            write(event="conditions", files=read_files(words))
        elif command == "forget":
            self._files.clear()
            self._fresh.clear()
        elif command not in {"alive", "image"}:
            raise MeasurementError(f"the runner knows no command {command!r}")

    def _load(self, number: int) -> None:
        session = self._read(number)
        logits = [float(each) for each in session.logits().ravel()[:MAX_LOGITS]]
        if not all(map(math.isfinite, logits)):  # JSON has no such numbers
            raise MeasurementError("the network computes logits that are not finite")
        self._fresh[number] = session
        write(event="loaded", logits=logits)

    def _read(self, number: int) -> Session:
        paths = map(Path, self._files[number])
        return self._open({path.suffix: path.read_bytes() for path in paths})

    def _take(self, number: int) -> Run:
        session = self._fresh.pop(number, None)
        if session is None:
            session = self._read(number)
            write(event="read")  # the host waits only so long for an answer
        return session.run

    def _run_session(self, seconds: str, loading: str, rounds: str) -> None:
        order = SessionOrder(
            _numbers(loading), [_numbers(each) for each in rounds.split(";")], float(seconds)
        )
        bundle: list[Sequence[Visit]] = []
        reported = time.monotonic()

        def report(visits: Sequence[Visit]) -> None:
            nonlocal reported
            bundle.append(visits)
            if time.monotonic() - reported >= SECONDS_BETWEEN_REPORTS:
                write(event="rounds", rounds=bundle)
                bundle.clear()
                reported = time.monotonic()

        run_session(self._take, self._timer, order, report, self._pace)
        if bundle:
            write(event="rounds", rounds=bundle)
        write(event="done")

    def _lock(self, mode: str) -> None:
        lock = DeviceLock.exclusive if mode == "exclusive" else DeviceLock.shared
        self._locks.enter_context(lock(lambda message: write(event="waiting", message=message)))
        write(event="locked")


def main(arguments: Sequence[str] | None = None) -> None:
    """Read commands until the input ends."""
    parser = argparse.ArgumentParser(prog="runner.pyz")
    parser.add_argument("engine", choices=sorted(ENGINES))
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--precision", default="fp32")
    parser.add_argument("--processor", default="cpu")
    parser.add_argument("--cores", type=_numbers, default=[])
    parser.add_argument("--pace", type=float, default=0.0)
    options = parser.parse_args(arguments)
    huge_pages.restart()
    _separate_output()
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    commands = listen()
    try:
        if options.cores:
            check_cores(options.cores)
            os.sched_setaffinity(0, options.cores)
        write(event="ready", protocol=PROTOCOL, machine=read_machine(options.engine))
        runner = Runner(
            options.engine, options.threads, options.precision, options.processor, options.pace
        )
        while (line := commands.get()) is not None:
            _answer(runner, line)
    except Exception as error:
        traceback.print_exc()
        write(event="failed", message=_describe(error))
        sys.exit(1)


def _answer(runner: Runner, line: str) -> None:
    try:
        runner.answer(*line.split())
    except MeasurementError as error:
        write(event="refused", message=str(error))


def listen() -> queue.SimpleQueue[str | None]:
    """Return the lines of the input as they come; at its end, or in silence, end the process."""
    lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(lines,), daemon=True).start()
    return lines


def _listen(lines: queue.SimpleQueue[str | None]) -> None:
    rest = b""
    while select.select([0], [], [], SILENCE)[0]:
        received = os.read(0, 1 << 16)
        if not received:
            break
        *whole, rest = (rest + received).split(b"\n")
        for line in whole:
            if line.strip():
                lines.put(line.decode())
    # Another thread may be in the middle of an inference, which nobody waits for any more.
    os._exit(0)


_output = 1


def _separate_output() -> None:
    """Keep the output for answers: what engines print goes to the errors."""
    global _output
    _output = os.dup(1)
    os.dup2(2, 1)


def write(**answer: Any) -> None:
    """Write one answer; without a reader, end the process."""
    left = memoryview((json.dumps(answer) + "\n").encode())
    try:
        while left:
            left = left[os.write(_output, left) :]
    except OSError:
        os._exit(1)


def _numbers(text: str) -> list[int]:
    return [int(each) for each in text.split(",")]


def _describe(error: Exception) -> str:
    if isinstance(error, Gnv2NasError):
        return str(error)
    return f"{type(error).__name__}: {first_line(error)}"
