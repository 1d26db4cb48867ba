"""Whether the head of a cluster, which is Ray on its first machine, still answers."""

from __future__ import annotations

import socket
import threading
import time
from typing import Any, cast

from gnv2_nas.errors import RunError

SECONDS_BETWEEN_CHECKS = 5.0
MAX_SECONDS_SILENT = 30.0
_SECONDS_TO_ANSWER = 2.0


class Head:
    """The head of the cluster that this process is connected to.

    Without a head, many calls of Ray wait for minutes, and then Ray ends the process. So look here
    before them, and now and then while others work. A client of Ray (ray://HOST:PORT) gets a
    `ConnectionError` in that case; here its head seems to answer always.
    """

    def __init__(self) -> None:
        import ray
        from ray.util.client import ray as client

        has_client = cast("Any", client).is_connected()
        self._address = "" if has_client else str(ray.get_runtime_context().gcs_address)
        self._asked = time.monotonic()
        self._silent_since: float | None = None

    def watch(self, over: threading.Event) -> None:
        """Ask the head every few seconds until an event; see `answers`."""
        while not over.wait(SECONDS_BETWEEN_CHECKS):
            self.answers()

    def await_answer(self, over: threading.Event) -> None:
        """Return when the head answers, or at an event; see `answers`."""
        while not self.answers():
            if over.wait(1):
                return

    def check(self) -> None:
        """Ask the head, unless it was asked a few seconds ago; see `answers`."""
        if time.monotonic() - self._asked >= SECONDS_BETWEEN_CHECKS:
            self.answers()

    def answers(self) -> bool:
        """Whether the head answers now. Time in which nobody asked does not count as silence.

        Raises:
            RunError: it has not answered for too long.
        """
        host, _, port = self._address.rpartition(":")
        self._asked = time.monotonic()
        try:
            if port:
                socket.create_connection((host.strip("[]"), int(port)), _SECONDS_TO_ANSWER).close()
            self._silent_since = None
        except OSError as error:
            self._silent_since = self._silent_since or self._asked
            if time.monotonic() - self._silent_since >= MAX_SECONDS_SILENT:
                raise RunError(
                    f"the first machine of the cluster ({self._address}) has not answered for "
                    f"{MAX_SECONDS_SILENT:g} s: {error.strerror or error}; what is finished is "
                    "kept: start the cluster again, then run the same command again"
                ) from None
            return False
        return True
