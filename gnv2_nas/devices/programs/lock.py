"""The lock of `runner/lock.py` on another machine without our runner: its shell holds it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from gnv2_nas.devices.transports.base import RunningCommand, Transport
from gnv2_nas.errors import ConnectionLostError, DeviceError, OutOfTimeError
from gnv2_nas.runner.lock import SECONDS_BEFORE_TELLING, LockMode, Waiting, waiting_deadline

_SCRIPT = (
    "command -v flock >/dev/null || { echo none; exec cat; }; "
    'd=${TMPDIR:-/tmp}; test -w "$d" || d=.; d=$d/gnv2-nas-$(id -u); mkdir -m 700 -p "$d"; '
    'test -O "$d" && test -w "$d" || { echo none; exec cat; }; exec 8>>"$d/gate" 9>>"$d/machine"; '
    'flock -x 8 && flock "$1" 9 && flock -u 8 && echo locked || echo none; exec cat'
)
"""Takes the lock, says so, and holds it until the input ends. $1 is -x or -s."""


SECONDS_TO_RELEASE = 5.0


@contextmanager
def lock_device(
    transport: Transport, name: str, mode: LockMode, waiting: Waiting
) -> Iterator[None]:
    """Hold the lock of a device within the block.

    A device whose shell has no `flock` that works, or no folder for it, is used without the lock.

    Args:
        transport: how the device is reached.
        name: its name.
        mode: see `DeviceLock`.
        waiting: receives a sentence if another process has the lock.

    Raises:
        OutOfTimeError: see `lock_deadline`.
        DeviceError: the device cannot be reached, or its folder for temporary files not be used.
    """
    flag = "-x" if mode == "exclusive" else "-s"
    with transport.start(["sh", "-c", _SCRIPT, "sh", flag]) as holder:
        if _await(holder, name, waiting) == "none":
            waiting(f"{name} cannot be locked: make sure that nothing else measures there")
        try:
            yield
        finally:
            # A connection that was cut has no lock any more: its shell ended with it.
            with suppress(DeviceError):
                holder.wait(SECONDS_TO_RELEASE)


def _await(holder: RunningCommand, name: str, waiting: Waiting) -> str:
    told = f"another gnv2-nas uses {name}; waiting"
    left = waiting_deadline() - time.monotonic()
    timers = [threading.Timer(SECONDS_BEFORE_TELLING, waiting, [told])]
    if left < threading.TIMEOUT_MAX:
        timers.append(threading.Timer(max(left, 0.0), holder.kill))
    for timer in timers:
        timer.daemon = True
        timer.start()
    try:
        with suppress(ConnectionLostError):
            for line in holder.lines():
                return line.strip()
    finally:
        for timer in timers:
            timer.cancel()
    if time.monotonic() >= waiting_deadline():
        raise OutOfTimeError(
            f"the time limit was reached while another gnv2-nas used {name}; try again, or give "
            f"more with --timeout"
        )
    raise ConnectionLostError(f"{name} could not be locked: the connection was cut")
