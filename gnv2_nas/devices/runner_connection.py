"""A conversation with a runner on a device, see `runner/serve.py`."""

from __future__ import annotations

import math
import queue
import re
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Any

import msgspec

from gnv2_nas.devices.transports.base import Transport
from gnv2_nas.errors import ConnectionLostError, DeviceError, MeasurementError
from gnv2_nas.runner.serve import PROTOCOL, SILENCE

MAX_UNREAD = 16
"""Lines that are read ahead. A device that sends more waits; no device can fill the memory."""
MAX_MESSAGE = 300
"""Characters of what a device says in a message."""
PATIENCE = 300.0
"""Longest silence of a device, in seconds: loading a large network on a small board."""
_KILLED = {137, -9}
_GONE = re.compile(r"FileNotFoundError:.*files/|cannot read 'files/")
"""What the Python and the native runner say of a file that is gone: another host made room for its
own. Measuring again with a fresh connection sends it again."""


class Answer(msgspec.Struct, frozen=True):
    """One line of a runner."""

    event: str
    protocol: int = 0
    machine: dict[str, Any] = {}
    message: str = ""
    logits: list[float] = []
    rounds: list[list[tuple[float, float, float, float]]] = []
    files: dict[str, str] = {}
    bytes: int = 0


class RunnerConnection:
    """A runner that was started on a device.

    Args:
        name: name of the device, for messages.
        transport: how the device is reached.
        command: the command that starts the runner.

    Raises:
        DeviceError: the device cannot be reached, or the runner does not start.
    """

    def __init__(self, name: str, transport: Transport, command: Sequence[str]) -> None:
        self._name, self._transport = name, transport
        self._block = ExitStack()
        self._process = self._block.enter_context(transport.start(command))
        self._lines: queue.Queue[str | Exception | None] = queue.Queue(MAX_UNREAD)
        self._sending = threading.Lock()
        self._closed = threading.Event()
        for task in (self._listen, self._keep_alive):
            threading.Thread(target=task, daemon=True).start()
        try:
            ready = self.await_event("ready")
            if ready.protocol != PROTOCOL:
                raise DeviceError(
                    f"the runner on {name} speaks protocol {ready.protocol}, and this version of "
                    f"gnv2-nas {PROTOCOL}: gnv2-nas devices check {name}"
                )
        except BaseException:
            self.close()
            raise
        self.machine = ready.machine
        """What `runner.machine.read_machine` returned on the device."""

    def send(self, *words: object) -> None:
        """Send one command."""
        try:
            with self._sending:
                self._process.send(" ".join(map(str, words)))
        except ConnectionLostError:
            raise self._explain_end() from None

    def await_event(
        self,
        event: str,
        handle: Callable[[Answer], None] = lambda _: None,
        deadline: float = math.inf,
    ) -> Answer:
        """Return the next answer of this kind; other answers go to `handle`.

        Args:
            event: kind of answer.
            handle: receives the answers before it.
            deadline: time of `time.monotonic` at which to give up.

        Raises:
            MeasurementError: the runtime on the device refused a network.
            DeviceError: the device failed, or says what no runner says.
            TimeoutError: nothing came before the deadline.
        """
        while True:
            answer = self._next(deadline)
            if answer.event == event:
                return answer
            if answer.event == "refused":
                raise MeasurementError(f"{_one_line(answer.message)} (on device {self._name})")
            if answer.event == "failed":
                said = _one_line(answer.message)
                if _GONE.match(said):
                    raise ConnectionLostError(f"files of networks vanished from {self._name}")
                raise DeviceError(f"the runner on {self._name} failed: {said}")
            handle(answer)

    def close(self) -> None:
        """End the runner and the connection to it."""
        self._closed.set()
        self._block.close()

    def _next(self, deadline: float) -> Answer:
        until = min(deadline, time.monotonic() + PATIENCE)
        try:
            line = self._lines.get(timeout=max(until - time.monotonic(), 0.0))
        except queue.Empty:
            if time.monotonic() >= deadline:
                raise TimeoutError from None
            self.close()
            raise DeviceError(
                f"{self._name} said nothing for {PATIENCE:.0f} s; it may hang: restart it"
            ) from None
        if isinstance(line, Exception):
            raise line
        if line is None:
            raise self._explain_end()
        try:
            return msgspec.json.decode(line, type=Answer)
        except (msgspec.MsgspecError, RecursionError):
            raise DeviceError(
                f"the runner on {self._name} said {line[:80]!r}, which is no answer of it"
            ) from None

    def _explain_end(self) -> DeviceError:
        try:
            ended = self._process.wait(timeout=10.0)
        except DeviceError as error:  # the connection was cut: the transport says how
            return error
        if ended.code in _KILLED:
            return ConnectionLostError(
                f"the runner on {self._name} was killed, perhaps because memory ran out"
            )
        said = ended.errors.decode(errors="replace").strip().splitlines()
        why = f": {said[-1][:200]}" if said else ""
        return ConnectionLostError(
            f"the runner on {self._name} ended with exit code {ended.code}{why}"
        )

    def _listen(self) -> None:
        try:
            for line in self._process.lines():
                self._put(line)
        except Exception as error:
            self._put(error)
        self._put(None)

    def _put(self, line: str | Exception | None) -> None:
        while True:
            try:
                return self._lines.put(line, timeout=1.0)
            except queue.Full:
                if self._closed.is_set():
                    return None

    def _keep_alive(self) -> None:
        while not self._closed.wait(SILENCE / 4):
            # Why it ended is for the thread that waits for answers.
            try:
                with self._sending:
                    self._process.send("alive")
            except ConnectionLostError:
                return


def _one_line(text: str) -> str:
    return " ".join(text.split())[:MAX_MESSAGE]
