"""What a device is: its processor, memory, system and Python, asked with one shell script."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import msgspec

from gnv2_nas.devices.provision.processor import Core, describe_cores, read_cores
from gnv2_nas.devices.transports.base import Transport
from gnv2_nas.errors import DeviceError

SCRIPT = Path(__file__).with_name("probe.sh")
TIMEOUT = 60.0
"""Seconds that the script may take; a board with a slow SD card needs about ten."""
MAX_LINES = 5000
_TEXT = 200
"""Longest value; what a device tells ends in messages and files."""

Version = tuple[int, ...]


class Libc(msgspec.Struct, frozen=True):
    """The C library, which decides the wheels that a device can use."""

    kind: str
    """"glibc", "musl", "bionic" (version: API level), or "unknown"."""
    version: Version = ()

    def __str__(self) -> str:
        return " ".join([self.kind, *([format_version(self.version)] if self.version else [])])


class Python(msgspec.Struct, frozen=True):
    """One Python interpreter of a device."""

    path: str
    version: Version
    venv: bool
    """Whether it can make virtual environments."""
    ensurepip: bool
    """Whether it can put pip into them."""
    pip: Version
    """Version of its own pip; () if it has none."""


class Probe(msgspec.Struct, frozen=True):
    """The facts about a device."""

    system: str
    """Kernel, such as "Linux 6.6.51"."""
    os: str
    """Distribution, such as "Debian GNU/Linux 12 (bookworm)", or "Android 15"."""
    machine: str
    """Architecture of the programs that it runs: "x86_64", "aarch64", "armv7l" …"""
    board: str
    """Model of the board or phone; "" if it does not tell."""
    cpu: str
    """Processor as text, for instance "4 × Cortex-A76 at 2.40 GHz"."""
    cores: tuple[Core, ...]
    libc: Libc
    memory_mb: int
    free_mb: int
    """Free space for the files of this package."""
    pythons: tuple[Python, ...] = ()

    @property
    def memory(self) -> str:
        """Memory as people say it, such as "8 GB"; the kernel keeps a part for itself."""
        gib = self.memory_mb / 1024
        return f"{gib:.0f} GB" if gib >= 1.5 else f"{self.memory_mb} MB"

    @property
    def governor(self) -> str:
        return ", ".join(sorted({core.governor for core in self.cores if core.governor}))

    def describe(self) -> str:
        """Return "Raspberry Pi 5 Model B, 4 × Cortex-A76 at 2.40 GHz, 8 GB, Debian 12"."""
        return ", ".join(filter(None, (self.board, self.cpu, self.memory, self.os)))


def probe(transport: Transport) -> Probe:
    """Return the facts about a device.

    Raises:
        DeviceError: it cannot be reached, or is not a Linux or Android device.
    """
    done = transport.run(["sh"], stdin=SCRIPT.read_bytes(), timeout=TIMEOUT)
    return parse_probe(done.output.decode("utf-8", "replace"), transport.describe())


def parse_probe(output: str, where: str) -> Probe:
    """Read the output of the script.

    Args:
        output: lines "name<tab>value"; what a login script printed before them is skipped.
        where: name of the device, for messages.

    Raises:
        DeviceError: the output is not complete, or the device is no Linux or Android device.
    """
    facts = _Facts(output, where)
    kernel = facts.one("system")
    if kernel != "Linux":
        raise DeviceError(f"{where} runs {kernel or 'an unknown system'}; Linux or Android works")
    cores = read_cores(facts.all("cpuinfo"), facts.all("core"), facts.one("allowed"))
    if not cores:
        raise DeviceError(f"{where} does not tell its processor cores: /proc and /sys are closed")
    android = facts.one("android")
    return Probe(
        system=f"Linux {facts.one('release')}",
        os=f"Android {android}" if android else facts.one("os").partition("=")[2].strip("\"'"),
        machine=_machine(facts.one("machine"), facts.one("bits")),
        board=facts.one("board"),
        cpu=describe_cores(cores),
        cores=cores,
        libc=_libc(facts),
        memory_mb=facts.number("memory", r"(\d+) kB") // 1024,
        free_mb=facts.number("disk", r"\d+ +\d+ +(\d+) +(?:\d+%|-)") // 1024,
        pythons=_pythons(facts.all("python")),
    )


class _Facts:
    def __init__(self, output: str, where: str) -> None:
        lines = output.splitlines()[-MAX_LINES:]
        self._where = where
        if "probe\t1" not in lines or lines[-1].strip() != "end":
            shown = next((line for line in reversed(lines) if line.strip()), "nothing")
            raise DeviceError(
                f"{where} did not run the script that asks what it is: its answer ends with "
                f"{shown[:_TEXT]!r}; a POSIX shell 'sh' is needed"
            )
        self._found: dict[str, list[str]] = {}
        for line in lines[lines.index("probe\t1") + 1 : -1]:
            name, _, value = line.partition("\t")
            text = "".join(each if each.isprintable() or each == "\t" else " " for each in value)
            self._found.setdefault(name, []).append(text.strip()[:_TEXT])

    def all(self, name: str) -> Sequence[str]:
        return self._found.get(name, ())

    def one(self, name: str) -> str:
        return next(iter(self.all(name)), "")

    def number(self, name: str, pattern: str) -> int:
        found = re.search(pattern, self.one(name))
        if not found:
            raise DeviceError(f"{self._where} does not tell its {name}: it says {self.one(name)!r}")
        return int(found[1])


def _machine(kernel: str, bits: str) -> str:
    """A 64-bit kernel may run 32-bit programs, as on many a Raspberry Pi."""
    if bits == "32":
        return {"aarch64": "armv7l", "x86_64": "i686"}.get(kernel, kernel)
    return {"arm64": "aarch64", "armv8l": "armv7l", "amd64": "x86_64"}.get(kernel, kernel)


def _libc(facts: _Facts) -> Libc:
    if sdk := facts.one("sdk"):
        return Libc("bionic", parse_version(sdk))
    ldd = " ".join(facts.all("ldd"))
    if glibc := facts.one("glibc"):
        return Libc("glibc", parse_version(glibc))
    if "musl" in ldd:
        return Libc("musl", parse_version(ldd.partition("Version")[2]))
    if "glibc" in ldd.lower():
        return Libc("glibc", parse_version(facts.one("ldd").rpartition(" ")[2]))
    return Libc("unknown")


def _pythons(lines: Sequence[str]) -> tuple[Python, ...]:
    found: dict[tuple[str, str], Python] = {}
    for line in lines:
        words = line.split("\t")
        if len(words) != 7 or not words[0].startswith("/") or words[2] != "CPython":
            continue
        path, version, _, _, venv, ensurepip, pip = words
        python = Python(
            path, parse_version(version), venv == "yes", ensurepip == "yes", parse_version(pip)
        )
        found.setdefault((path.rpartition("/")[0], version), python)
    return tuple(found.values())


def parse_version(text: str) -> Version:
    """Return the first number with dots in a text: "glibc 2.36" → (2, 36); () if there is none."""
    found = re.search(r"\d+(?:\.\d+)*", text)
    return tuple(int(part) for part in found[0].split(".")[:3]) if found else ()


def format_version(version: Version) -> str:
    return ".".join(map(str, version))


def differences(before: Probe, after: Probe) -> Mapping[str, tuple[str, str]]:
    """Return what changed on a device that matters for latencies: name → before and after."""
    facts: dict[str, Callable[[Probe], str]] = {
        "system": lambda each: each.system,
        "distribution": lambda each: each.os,
        "architecture": lambda each: each.machine,
        "board": lambda each: each.board,
        "processor": lambda each: each.cpu,
        "cores": lambda each: ", ".join(str(core.number) for core in each.cores if core.allowed),
        "governor": lambda each: each.governor,
        "C library": lambda each: str(each.libc),
        "memory": lambda each: each.memory,
    }
    values = {name: (fact(before), fact(after)) for name, fact in facts.items()}
    return {name: pair for name, pair in values.items() if pair[0] != pair[1]}
