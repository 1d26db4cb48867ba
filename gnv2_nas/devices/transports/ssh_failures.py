"""What the OpenSSH client says when it fails, and what to do then."""

from __future__ import annotations

import re

from gnv2_nas.devices.transports.base import last_line
from gnv2_nas.errors import ConnectionLostError, DeviceError

_SSH_FAILED = 255
"""Exit code of ssh itself; others are those of the user's login shell."""

_FAILURES = (
    (
        "REMOTE HOST IDENTIFICATION HAS CHANGED|host key .* has changed",
        "its host key has changed: another device has this address now, or somebody is in between; "
        "if the device was installed anew, forget the old key with `ssh-keygen -R {name}`, connect "
        "once with `ssh {host}` and compare the fingerprint",
    ),
    (
        "Host key verification failed|host key is known",
        "its host key is unknown; connect once with `ssh {host}` and compare the fingerprint",
    ),
    (
        "Temporary failure in name resolution",
        "names cannot be resolved now; check the network of this machine",
    ),
    (
        "Could not resolve hostname",
        "no such name in the network; check its spelling, or use the address of the device",
    ),
    (
        "Connection refused",
        "it refuses connections; start its ssh server, or name the server's port as NAME:PORT",
    ),
    (
        "No route to host|Network is unreachable|Host is down|Operation timed out"
        "|[Cc]onnection timed out|timed out",
        "it does not answer; check that it is on, awake and in this network",
    ),
    (
        "Too many authentication failures",
        "it was offered too many keys; choose one with IdentityFile and IdentitiesOnly in "
        "~/.ssh/config",
    ),
    (
        "Permission denied",
        "it refuses this user and these keys ({said}); no password can be asked for: bring a key "
        "there with `ssh-copy-id {host}`, or load yours with `ssh-add`",
    ),
    (
        "[Bb]ad configuration option|configuration options|Bad owner or permissions|keyword",
        "the configuration of ssh on this machine is wrong: {said}",
    ),
    (
        "kex_exchange_identification|[Cc]onnection closed by|[Cc]onnection reset|banner",
        "its ssh server ends connections before the login; it may be overloaded or starting, or "
        "refuse this machine",
    ),
)
"""Pattern in what ssh said → message."""
_MAY_PASS = re.compile(
    "Temporary failure in name resolution|No route to host|Host is down"
    "|kex_exchange_identification|[Cc]onnection closed by|[Cc]onnection reset"
)


def may_pass(said: str) -> bool:
    """Return whether another attempt to connect may succeed."""
    return _MAY_PASS.search(said) is not None


def explain_failure(host: str, code: int, said: str) -> DeviceError:
    """Return the error of an ssh client that could not run a command.

    Args:
        host: the host as the user wrote it.
        code: exit code.
        said: what ssh wrote to its errors.
    """
    where, last = f"ssh {host}", last_line(said)
    if code not in {_SSH_FAILED, -15, -9}:
        return DeviceError(
            f"{where}: the login shell of this user runs no commands"
            f"{f' ({last})' if last else ''}; give the user a shell such as /bin/sh"
        )
    name = host.rpartition("@")[2]
    if found := re.fullmatch(r"(.+):(\d+)", name):
        name = f"[{found[1].strip('[]')}]:{found[2]}"
        host = f"ssh://{host}"
    for pattern, message in _FAILURES:
        if re.search(pattern, said):
            return DeviceError(f"{where}: {message.format(host=host, name=name, said=last)}")
    if not last:
        return DeviceError(f"{where}: it did not let this user in within a reasonable time")
    return ConnectionLostError(f"{where}: the connection was cut: {last}")
