"""What adb says when it fails, and what to do then."""

from __future__ import annotations

import re

from gnv2_nas.devices.transports.base import last_line
from gnv2_nas.errors import ConnectionLostError, DeviceError

_STATES = {
    "unauthorized": (
        'it has not allowed this machine; unlock it and confirm "Allow USB debugging" there'
    ),
    "authorizing": (
        'it has not allowed this machine yet; unlock it and confirm "Allow USB debugging" there'
    ),
    "offline": "it does not answer; unlock it, or unplug it and plug it in again",
    "no permissions": (
        "this user may not use the USB device; install the rules of udev for Android devices "
        "(Debian: android-sdk-platform-tools-common), and plug it in again"
    ),
}
_NOT_CONNECTED = (
    "it is not connected; plug it in, unlock it, switch on USB debugging, and see `adb devices`"
)
_FAILURES = (
    ("unauthorized", _STATES["unauthorized"]),
    ("authorizing", _STATES["authorizing"]),
    ("offline", _STATES["offline"]),
    ("no permissions|insufficient permissions", _STATES["no permissions"]),
    ("not found|no devices", _NOT_CONNECTED),
    (
        "cannot connect to daemon|failed to start daemon|failed to check server",
        "the server of adb does not start: {said}; see `adb start-server`",
    ),
)
"""Pattern in what adb said → message."""


def explain_state(serial: str, state: str) -> str:
    """Return the message for a device that `adb devices` shows, but not as ready."""
    reason = _STATES.get(state, f"it is in state {state!r}; restart it into Android")
    return f"adb {serial}: {reason}"


def explain_missing(serial: str, said: str = "") -> str:
    """Return the message for a device that `adb devices` does not show.

    Args:
        serial: its serial number; "" if any would do.
        said: the reason that adb gave.
    """
    if not serial:
        return (
            "adb: no device is connected; plug one in, unlock it, switch on USB debugging, "
            "and see `adb devices`"
        )
    return f"adb {serial}: {_NOT_CONNECTED}{f' ({said})' if said else ''}"


def explain_failure(where: str, code: int, said: str) -> DeviceError:
    """Return the error of an adb client that could not run a command.

    Args:
        where: how the device is reached, for the message.
        code: exit code.
        said: what adb wrote.
    """
    last = last_line(said)
    for pattern, message in _FAILURES:
        if re.search(pattern, said):
            return DeviceError(f"{where}: {message.format(said=last)}")
    return ConnectionLostError(f"{where}: the connection was cut: {last or f'exit code {code}'}")
