"""What a device without our runner tells of itself: the kernel's files, read by its shell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from gnv2_nas.cores import parse_cores
from gnv2_nas.devices.fingerprint import Fingerprint
from gnv2_nas.devices.transports.base import Transport
from gnv2_nas.devices.transports.script import new_token
from gnv2_nas.runner.conditions import list_patterns
from gnv2_nas.runner.machine import cpu_model

TIMEOUT = 60.0
_MODEL, _CPUINFO, _MEMORY = "proc/device-tree/model", "proc/cpuinfo", "proc/meminfo"
_ONLINE, _LOAD = "sys/devices/system/cpu/online", "proc/loadavg"
_GOVERNOR = "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"
IDENTITY = (_MODEL, _CPUINFO, _MEMORY, _ONLINE, _LOAD, _GOVERNOR)
"""Files that identify a machine. Under `/`."""
_READ = (
    't=$1; shift; for f; do for g in /$f; do test -r "$g" && test -f "$g" && '
    'printf \'%s%s\\n\' $t "${g#/}" && head -c 16384 "$g" 2>/dev/null; echo; done; done; true'
)
"""Prints the files that match patterns ($2 and so on), each after a line of the mark $1 and its
path. The patterns are unquoted, so that they match; they are constants of this package."""


def read_remote_files(
    transport: Transport, pinning: Sequence[str], *, thorough: bool
) -> Mapping[str, str]:
    """Return the files that show the state of a device, see `runner.conditions.read_files`.

    Args:
        transport: how it is reached.
        pinning: command that runs another one on the cores that are used.
        thorough: whether to read the constant files, too.

    Raises:
        DeviceError: it cannot be reached.
    """
    return _read(transport, pinning, list_patterns(thorough=thorough))


def describe_device(transport: Transport, runtime: str) -> Fingerprint:
    """Return the fingerprint of a device.

    Args:
        transport: how it is reached.
        runtime: name and version of the program that runs the networks.

    Raises:
        DeviceError: it cannot be reached.
    """
    system = transport.run(["uname", "-srm"], timeout=TIMEOUT).output.decode(errors="replace")
    return read_fingerprint(_read(transport, (), IDENTITY), system.strip(), runtime)


def read_fingerprint(files: Mapping[str, str], system: str, runtime: str) -> Fingerprint:
    """Return the fingerprint that files show, of which any may be missing."""
    return Fingerprint(
        cpu=cpu_model(files.get(_MODEL, ""), files.get(_CPUINFO, "")) or "unknown",
        cores=max(len(parse_cores(files.get(_ONLINE, ""))), 1),
        memory_gib=round(_number(files.get(_MEMORY, "").removeprefix("MemTotal:")) / 2**20, 1),
        system=system,
        python="",
        runtime=runtime,
        governor=files.get(_GOVERNOR) or "unknown",
        load=_number(files.get(_LOAD, "")),
    )


def _read(transport: Transport, pinning: Sequence[str], patterns: Sequence[str]) -> dict[str, str]:
    mark = f"{new_token()}:"
    command = [*pinning, "sh", "-c", _READ, "sh", mark, *patterns]
    output = transport.run(command, timeout=TIMEOUT).output.decode(errors="replace")
    parts = [part.partition("\n") for part in output.split(mark)[1:]]
    return {path: text.strip(" \n\0") for path, _, text in parts}


def _number(text: str) -> float:
    """Return the first number of a text; 0 if it does not begin with one."""
    try:
        return float(text.split()[0])
    except (IndexError, ValueError):
        return 0.0
