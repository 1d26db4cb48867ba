"""Measuring again after a device was lost: with a fresh connection, and from the beginning."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from gnv2_nas.devices.host import Host
from gnv2_nas.errors import ConnectionLostError
from gnv2_nas.runner.lock import Waiting, waiting_deadline

Result = TypeVar("Result")

DELAYS = (1.0, 10.0, 45.0)
"""Seconds before each new attempt; a board restarts within a minute."""


def with_reconnects(host: Host, waiting: Waiting, attempt: Callable[[], Result]) -> Result:
    """Return what `attempt` returns; after a lost connection, call it again a few times.

    Every attempt starts anew, so no result mixes samples from before and after.

    Args:
        host: the machine that `attempt` uses.
        waiting: receives a sentence before each new attempt.
        attempt: what to do.

    Raises:
        ConnectionLostError: the connection was lost again and again, or there is no time left.
    """
    for delay in DELAYS:
        try:
            with host.turn():
                return attempt()
        except ConnectionLostError as error:
            host.disconnect()
            if time.monotonic() + delay >= waiting_deadline():
                raise
            waiting(f"{error}; trying again in {delay:.0f} s")
            time.sleep(delay)
    with host.turn():
        return attempt()
