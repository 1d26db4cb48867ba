"""Reading the state of a device from the files that show it."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping

from gnv2_nas.cores import format_cores, parse_cores
from gnv2_nas.devices.conditions import Cluster, Conditions

Files = Mapping[str, str]
"""Path under `/` → text, see `runner/conditions.py`."""

NEAR_LIMIT = 5.0
"""A zone within so many °C of the temperature at which its device acts is hot."""
MIN_LIMIT = 50.0
"""Firmware sets limits that it does not use to 0 °C or to a room's temperature."""
PLAUSIBLE = range(-40, 151)
"""°C of a sensor that works."""
MAX_TEMPERATURES, MAX_TRIP_POINTS = 8, 16
FLAGS = ("under-voltage", "frequency capped", "throttled", "soft temperature limit")
"""Bits 0 to 3 of the Raspberry Pi's firmware; bits 16 to 19: it occurred since the start."""
_THROTTLERS = re.compile(r"cpufreq|^Processor$|powerclamp|throttle-alert")
"""Cooling devices that slow the processor, by the names of Linux, ACPI and NVIDIA."""
_COUNT = re.compile(r"\d{1,18}")
_CPU, _THERMAL, _POWER = "sys/devices/system/cpu", "sys/class/thermal", "sys/class/power_supply"
_FIRMWARE = "sys/devices/platform/soc/soc:firmware/get_throttled"


def read_conditions(files: Files) -> Conditions:
    """Return the conditions that the files of a device show."""
    files = dict(sorted(files.items()))
    allowed = parse_cores(_field(files.get("proc/thread-self/status", ""), "Cpus_allowed_list"))
    if online := parse_cores(files.get(f"{_CPU}/online", "")):
        allowed = allowed & online if allowed else online
    zones = dict(_zones(files))
    hottest = sorted(zones, key=lambda zone: -zones[zone][0])
    hot = tuple(zone for zone in hottest if zones[zone][0] >= zones[zone][1] - NEAR_LIMIT)
    kept = {*hot, *hottest[:MAX_TEMPERATURES]}
    flags = _flags(files)
    charger, battery = _battery(files)
    return Conditions(
        cores=format_cores(allowed),
        clusters=_clusters(files, allowed),
        temperatures={zone: zones[zone][0] for zone in hottest if zone in kept},
        hot=hot,
        throttling=(*(name for bit, name in enumerate(FLAGS) if flags >> bit & 1), *_slowed(files)),
        throttled=_counters(files, allowed, flags),
        power_mode=_power_mode(files),
        charger=charger,
        battery=battery,
        load=_number(files.get("proc/loadavg", "").partition(" ")[0]),
        free_mib=_free_mib(files),
    )


def _clusters(files: Files, allowed: set[int]) -> tuple[Cluster, ...]:
    members: dict[tuple[str, int | None, int | None], set[int]] = {}
    current: dict[tuple[str, int | None, int | None], list[int]] = {}
    for policy, text in _texts(files, f"{_CPU}/cpufreq/policy", "/related_cpus"):
        cores = parse_cores(text)
        if allowed:
            cores &= allowed
        if not cores:
            continue
        folder = f"{_CPU}/cpufreq/policy{policy}"
        mhz, limit, most = (
            _mhz(files.get(f"{folder}/{name}", ""))
            for name in ("scaling_cur_freq", "scaling_max_freq", "cpuinfo_max_freq")
        )
        key = (files.get(f"{folder}/scaling_governor", ""), limit, most)
        members.setdefault(key, set()).update(cores)
        current.setdefault(key, []).extend([] if mhz is None else [mhz])
    found = sorted(members.items(), key=lambda item: min(item[1]))
    return tuple(
        Cluster(format_cores(cores), key[0], max(current[key], default=None), key[1], key[2])
        for key, cores in found
    )


def _zones(files: Files) -> Iterator[tuple[str, tuple[float, float]]]:
    """Yield name, °C, and °C at which the device acts (infinite if unknown) of thermal zones."""
    seen: set[str] = set()
    for number, text in _texts(files, f"{_THERMAL}/thermal_zone", "/temp"):
        celsius = _celsius(text)
        if celsius is None or not PLAUSIBLE.start <= celsius < PLAUSIBLE.stop:
            continue
        folder = f"{_THERMAL}/thermal_zone{number}"
        kind = files.get(f"{folder}/type", "") or f"zone {number}"
        name = f"{kind} {number}" if kind in seen else kind
        seen.add(name)
        # Programs set the trip points of this zone to be told, and nothing slows down there.
        limits = [] if kind == "x86_pkg_temp" else list(_limits(files, folder))
        yield name, (celsius, min(limits, default=float("inf")))


def _limits(files: Files, folder: str) -> Iterator[float]:
    for point in range(MAX_TRIP_POINTS):
        kind = files.get(f"{folder}/trip_point_{point}_type", "")
        celsius = _celsius(files.get(f"{folder}/trip_point_{point}_temp", ""))
        if kind in {"passive", "hot", "critical"} and celsius is not None and celsius >= MIN_LIMIT:
            yield celsius


def _slowed(files: Files) -> Iterator[str]:
    """Yield the cooling devices that slow the processor now."""
    for number, state in _texts(files, f"{_THERMAL}/cooling_device", "/cur_state"):
        kind = files.get(f"{_THERMAL}/cooling_device{number}/type", "")
        if _THROTTLERS.search(kind) and (_number(state) or 0) > 0:
            yield f"slowed by {kind}"


def _flags(files: Files) -> int:
    text = files.get(_FIRMWARE, "") or files.get("vcgencmd get_throttled", "")
    try:
        return int(text.rpartition("=")[2].strip() or "0", 16)
    except ValueError:
        return 0


def _counters(files: Files, allowed: set[int], flags: int) -> dict[str, int]:
    counters = {name: 1 for bit, name in enumerate(FLAGS, 16) if flags >> bit & 1}
    for kind in ("core", "package"):
        ending = f"/thermal_throttle/{kind}_throttle_count"
        counts = [
            int(text)
            for core, text in _texts(files, f"{_CPU}/cpu", ending)
            if _COUNT.fullmatch(text) and _COUNT.fullmatch(core)
            if not allowed or int(core) in allowed
        ]
        if counts:
            counters[f"{kind} throttling"] = max(counts)
    return counters


def _power_mode(files: Files) -> str:
    told = files.get("nvpmodel -q", "")
    return _field(told, "NV Power Mode") or files.get("var/lib/nvpmodel/status", "")[:80]


def _battery(files: Files) -> tuple[bool | None, int | None]:
    """Return whether a charger supplies the device, and the battery's charge in per cent."""
    for name, status in _texts(files, f"{_POWER}/", "/status"):
        folder = f"{_POWER}/{name}"
        # A battery of scope "Device" is that of a mouse.
        if files.get(f"{folder}/type") == "Battery" and files.get(f"{folder}/scope") != "Device":
            charge = _number(files.get(f"{folder}/capacity", ""))
            charger = None if status == "Unknown" else status != "Discharging"
            return charger, None if charge is None else round(charge)
    return None, None


def _free_mib(files: Files) -> int | None:
    kib = _number(_field(files.get("proc/meminfo", ""), "MemAvailable").partition(" ")[0])
    return None if kib is None else round(kib / 1024)


def _texts(files: Files, start: str, end: str) -> Iterator[tuple[str, str]]:
    """Yield what stands between `start` and `end` in a path, and the file's text."""
    for path, text in files.items():
        if path.startswith(start) and path.endswith(end):
            between = path[len(start) : len(path) - len(end)]
            if between and "/" not in between:
                yield between, text


def _field(text: str, name: str) -> str:
    """Return the rest of the line that starts with `name` and a colon."""
    for line in text.splitlines():
        key, _, value = line.partition(":")
        if key == name:
            return value.strip()
    return ""


def _celsius(text: str) -> float | None:
    number = _number(text)
    if number is None:
        return None
    # Millidegrees by the kernel's rule; some vendors write degrees.
    return number if abs(number) < PLAUSIBLE.stop else round(number / 1000, 1)


def _mhz(text: str) -> int | None:
    khz = _number(text)
    return round(khz / 1000) if khz else None


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None
