"""URLs of devices: `ssh://[user@]host[:port]` and `adb://[serial]`."""

from __future__ import annotations

import re

import msgspec

from gnv2_nas.devices.profile import Transport
from gnv2_nas.errors import InputError

_USER = r"[A-Za-z_][\w.-]*\$?"
_HOST = r"[A-Za-z0-9](?:[\w.-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+(?:%\w+)?\]"
_SSH = re.compile(rf"(?:{_USER}@)?(?:{_HOST})(?::(?P<port>\d{{1,5}}))?", re.ASCII)
_SERIAL = re.compile(r"[A-Za-z0-9][\w.:-]*|", re.ASCII)
_FORMS = "a device is ssh://[user@]host[:port] or adb://[serial]"


class Address(msgspec.Struct, frozen=True):
    """Where a device is: the fields of a profile of the same names."""

    transport: Transport
    host: str = ""
    serial: str = ""


def parse_url(url: str) -> Address:
    """Read the URL of a device.

    Raises:
        InputError: it is not one; the message says what would be.
    """
    if url.strip().rstrip(":/").lower() in {"local", "localhost"}:
        raise InputError(f"{url!r}: this machine needs no setting up; use --device cpu")
    scheme, mark, rest = url.strip().partition("://")
    rest = rest.removesuffix("/")
    if not mark:
        raise InputError(f"{url!r} is not the URL of a device: {_FORMS}")
    if scheme.lower() == "ssh":
        return Address("ssh", host=_check_host(url, rest))
    if scheme.lower() == "adb":
        if not _SERIAL.fullmatch(rest):
            raise InputError(f"{url!r} has no serial number as `adb devices` shows it: {_FORMS}")
        return Address("adb", serial=rest)
    raise InputError(f"{url!r} begins with {scheme!r}: {_FORMS}")


def _check_host(url: str, host: str) -> str:
    found = _SSH.fullmatch(host)
    if not found:
        raise InputError(
            f"{url!r} names no host: {_FORMS}; keys and other options belong into ~/.ssh/config"
        )
    port = found["port"]
    if port is not None and not 0 < int(port) < 1 << 16:
        raise InputError(f"{url!r}: a port is from 1 to 65535, but got {port}")
    return host
