"""The files of a machine that show its state: frequencies, temperatures, throttling, power.

A device only collects them, by the patterns that the host sends. On the host,
`devices/condition_files.py` reads them, so that all runners and all machines have one reader. A
machine without these files, such as a Mac, has no known conditions.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from glob import escape, iglob
from itertools import islice
from pathlib import Path

CHANGING = (
    "proc/loadavg",
    "proc/meminfo",
    "proc/thread-self/status",
    "sys/class/power_supply/*/capacity",
    "sys/class/power_supply/*/status",
    "sys/class/thermal/cooling_device*/cur_state",
    "sys/class/thermal/thermal_zone*/temp",
    "sys/devices/platform/soc/soc:firmware/get_throttled",
    "sys/devices/system/cpu/cpu[0-9]*/thermal_throttle/*_throttle_count",
    "sys/devices/system/cpu/cpufreq/policy*/scaling_governor",
    "sys/devices/system/cpu/cpufreq/policy*/scaling_max_freq",
    "sys/devices/system/cpu/online",
)
"""What may change during a measurement. Under `/`."""
SLOW = "sys/devices/system/cpu/cpufreq/policy*/scaling_cur_freq"
"""Linux before 5.19 takes 10 ms for each of these files on x86."""
MAX_SLOW = 8
CONSTANT = (
    "sys/class/power_supply/*/scope",
    "sys/class/power_supply/*/type",
    "sys/class/thermal/cooling_device*/type",
    "sys/class/thermal/thermal_zone*/trip_point_*_temp",
    "sys/class/thermal/thermal_zone*/trip_point_*_type",
    "sys/class/thermal/thermal_zone*/type",
    "sys/devices/system/cpu/cpufreq/policy*/cpuinfo_max_freq",
    "sys/devices/system/cpu/cpufreq/policy*/related_cpus",
    "var/lib/nvpmodel/status",
)
"""What a measurement reads before and after, and not in between."""
PROGRAMS = {
    "vcgencmd get_throttled": "sys/devices/platform/soc/soc:firmware/get_throttled",
    "nvpmodel -q": "var/lib/nvpmodel/status",
}
"""Program → the file that makes it unnecessary."""
FOLDERS = ("usr/bin", "usr/sbin", "opt/vc/bin")
MAX_CHARACTERS = 4096


def list_patterns(*, thorough: bool) -> tuple[str, ...]:
    """Return the patterns of the files to read.

    Args:
        thorough: whether to read the constant files too, before and after a measurement.
    """
    return (*CHANGING, SLOW, *(CONSTANT if thorough else ()))


def read_files(patterns: Iterable[str], root: Path = Path("/")) -> dict[str, str]:
    """Return path → text of every file that matches, as far as they can be read.

    A program whose answer replaces a missing file is run if constant files are asked for; its
    command line then stands for a path.

    Args:
        patterns: of paths under `root`, see `list_patterns`.
        root: folder of the machine's files.
    """
    wanted = list(patterns)
    found = {}
    for pattern in wanted:
        found.update(_read(root, pattern, MAX_SLOW if pattern == SLOW else None))
    if not set(CONSTANT).isdisjoint(wanted):
        found.update(_ask_programs(root, found))
    return found


def _read(root: Path, pattern: str, limit: int | None) -> dict[str, str]:
    texts = {}
    # A large server has hundreds of these files, and pathlib takes three times as long.
    for path in islice(iglob(f"{escape(str(root))}/{pattern}"), limit):  # noqa: PTH207
        with suppress(OSError):  # Android hides many files, and others answer "no data"
            file = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
            try:
                text = os.read(file, MAX_CHARACTERS).decode("utf-8", "replace").strip()
            finally:
                os.close(file)
            texts[path[len(str(root)) :].lstrip("/")] = text
    return texts


def _ask_programs(root: Path, known: dict[str, str]) -> dict[str, str]:
    import shutil
    import subprocess

    folders = os.pathsep.join(str(root / folder) for folder in FOLDERS)
    answers = {}
    for line, file in PROGRAMS.items():
        name, *arguments = line.split()
        program = None if file in known else shutil.which(name, path=folders)
        if program is None:
            continue
        try:
            done = subprocess.run(  # noqa: S603  a constant command line
                [program, *arguments], capture_output=True, stdin=subprocess.DEVNULL, timeout=2
            )
        except (OSError, subprocess.TimeoutExpired):
            continue
        if done.returncode == 0:
            answers[line] = done.stdout.decode("utf-8", "replace")[:MAX_CHARACTERS].strip()
    return answers
