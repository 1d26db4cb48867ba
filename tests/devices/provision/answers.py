"""What `probe.sh` prints on some devices, composed from what their /proc, /sys and tools show."""

from __future__ import annotations

from gnv2_nas.devices.provision.probe import Probe, parse_probe

A76, A55 = "CPU implementer : 0x41|CPU part : 0xd0b", "CPU implementer : 0x41|CPU part : 0xd05"
PYTHON = "/usr/bin/python3|{0}|CPython|64|{1}|{2}|{3}"


def read(**changes: str | list[str]) -> Probe:
    """Return the probe of a Raspberry Pi 5 on which some facts are different."""
    return parse_probe(answer(**changes), "ssh pi@board")


def answer(**changes: str | list[str]) -> str:
    """Return the lines of a Raspberry Pi 5; a fact that is "" is not told."""
    facts: dict[str, str | list[str]] = {
        "system": "Linux",
        "release": "6.6.51+rpt-rpi-2712",
        "machine": "aarch64",
        "bits": "64",
        "os": 'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"',
        "board": "Raspberry Pi 5 Model B Rev 1.0",
        "glibc": "glibc 2.36",
        "ldd": "ldd (Debian GLIBC 2.36-9+rpt2+deb12u9) 2.36",
        "cpuinfo": cpuinfo(A76, A76, A76, A76),
        "core": cores((2400000, "-")) * 4,
        "allowed": "Cpus_allowed_list:0-3",
        "memory": "MemTotal:        8245360 kB",
        "disk": "/dev/mmcblk0p2    61000000 9000000  49000000      16% /",
        "python": python("3.11.2"),
    } | changes
    cores_told = facts["core"]
    if isinstance(cores_told, list):
        facts["core"] = [each.replace("N", str(n)) for n, each in enumerate(cores_told)]
    lines = ["Welcome! You have new mail.", "probe\t1"]
    for name, values in facts.items():
        each = values if isinstance(values, list) else [values]
        lines += [f"{name}\t{value}" for value in each if value]
    return "\n".join([*lines, "end\t", ""])


def cpuinfo(*models: str) -> list[str]:
    """Return the lines of /proc/cpuinfo for cores of these models."""
    return [
        line
        for number, model in enumerate(models)
        for line in (f"processor : {number}", *model.split("|"))
    ]


def cores(*kinds: tuple[int, object]) -> list[str]:
    """Return one line for each core: kilohertz and capacity."""
    return [f"N {khz or '-'} {capacity} schedutil" for khz, capacity in kinds]


def python(version: str, *, venv: bool = True, ensurepip: bool = True, pip: str = "23.0.1") -> str:
    words = (version, *("yes" if each else "no" for each in (venv, ensurepip)), pip)
    return PYTHON.format(*words).replace("|", "\t")


PHONE: dict[str, str | list[str]] = {
    "release": "6.1.75-android14-11",
    "os": "",
    "android": "15",
    "sdk": "35",
    "board": "Pixel 8",
    "glibc": "",
    "ldd": "",
    "cpuinfo": cpuinfo(
        *["CPU implementer : 0x41|CPU part : 0xd46"] * 4,
        *["CPU implementer : 0x41|CPU part : 0xd4d"] * 4,
        "CPU implementer : 0x41|CPU part : 0xd4e",
    ),
    "core": cores(*[(1704000, 223)] * 4, *[(2367000, 762)] * 4, (2914000, 1024)),
    "allowed": "Cpus_allowed_list:0-8",
    "disk": "/dev/block/dm-52 110000000 60000000 50000000  55% /data",
    "python": "",
}
ALPINE: dict[str, str | list[str]] = {
    "machine": "x86_64",
    "os": 'PRETTY_NAME="Alpine Linux v3.20"',
    "board": "",
    "glibc": "",
    "ldd": ["musl libc (x86_64)", "Version 1.2.5"],
    "cpuinfo": cpuinfo(*["model name : Intel(R) Core(TM) i5-12400 CPU @ 2.50GHz"] * 2),
    "core": cores((0, "-"), (0, "-")),
    "allowed": "Cpus_allowed_list:0-1",
}
JETSON_NANO: dict[str, str | list[str]] = {
    "os": 'PRETTY_NAME="Ubuntu 18.04.6 LTS"',
    "board": "NVIDIA Jetson Nano Developer Kit",
    "glibc": "glibc 2.27",
    "cpuinfo": cpuinfo(*["CPU implementer : 0x41|CPU part : 0xd07"] * 4),
    "core": cores((1479000, "-")) * 4,
    "python": python("3.6.9"),
}
