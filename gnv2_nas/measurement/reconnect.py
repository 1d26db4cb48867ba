"""Using a device: load networks beside others, time them alone, start anew when it was lost."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from gnv2_nas.devices.host import Bench, Host
from gnv2_nas.errors import ConnectionLostError
from gnv2_nas.runner.lock import Waiting, waiting_deadline

Result = TypeVar("Result")

DELAYS = (1.0, 10.0, 45.0)
"""Seconds before each new attempt; a board restarts within a minute."""


def use_device(
    host: Host,
    waiting: Waiting,
    load: Callable[[], Bench],
    measure: Callable[[Bench], Result],
) -> Result:
    """Load networks and return what `measure` returns; after a lost connection, do both again.

    Every attempt starts anew, so no result mixes samples from before and after.

    Args:
        host: the machine.
        waiting: receives a sentence when another process uses the machine, and before each new
            attempt.
        load: loads and checks networks while no other process measures there.
        measure: times them while no other process uses the machine. The lock is held for this
            call only, so that two searches alternate.

    Raises:
        ConnectionLostError: the connection was lost again and again, or there is no time left.
    """

    def attempt() -> Result:
        with host.turn():
            with host.shared(waiting):
                bench = load()
            with host.exclusive(waiting):
                return measure(bench)

    for delay in DELAYS:
        try:
            return attempt()
        except ConnectionLostError as error:
            host.disconnect()
            if time.monotonic() + delay >= waiting_deadline():
                raise
            waiting(f"{error}; trying again in {delay:.0f} s")
            time.sleep(delay)
    return attempt()
