"""Names of metrics in a study of several devices, and lists of objectives."""

from __future__ import annotations

from collections.abc import Sequence

from gnv2_nas.errors import InputError, UnknownNameError
from gnv2_nas.search.study.metrics import LATENCY_RATIO, METRICS, get_metric


def name_on_devices(name: str, devices: Sequence[str]) -> str:
    """The name that a metric has in a study of these devices.

    With one device, "latency@pi5" is "latency". With several, the objective "latency" is the worst
    ratio to stock.

    Args:
        devices: labels of the study's devices; () for a study without any.

    Raises:
        UnknownNameError: no such metric.
        InputError: the device is not in the search, or it must be named.
    """
    metric = get_metric(name)
    if metric.device:
        device = find_device(metric.device, devices, name)
        return f"{metric.base}@{device}" if len(devices) > 1 else metric.base
    if name == LATENCY_RATIO and len(devices) == 1:
        return "latency"
    if name == "latency" and len(devices) > 1:
        return LATENCY_RATIO
    if metric.differs and len(devices) > 1:
        raise InputError(f"{name}: name the device, such as {metric.base}@{devices[0]}")
    return name


def find_device(name: str, devices: Sequence[str], where: str) -> str:
    """The label of a device as the study has it, whatever its case.

    Raises:
        InputError: the study has no such device.
    """
    found = [each for each in devices if each.casefold() == name.strip().casefold()]
    if not found:
        known = ", ".join(devices)
        raise InputError(f"{where!r}: device {name!r} is not in the search; it has {known}")
    return name if name in found else found[0]


def order_of(name: str) -> tuple[int, str]:
    """Sort key of metric names: the order of `METRICS`, then that of the devices."""
    base, _, device = name.partition("@")
    return list(METRICS).index(base), device


def parse_objectives(text: str, devices: Sequence[str] = ()) -> tuple[str, ...]:
    """Names in a comma-separated list, such as "quality,latency", in the order of `METRICS`.

    Args:
        devices: see `name_on_devices`.

    Raises:
        InputError: unknown, repeated or no names, or see `name_on_devices`.
    """
    names = [name.strip() for name in text.split(",") if name.strip()]
    if not names:
        raise InputError(f"--objectives is empty; give one or more of {','.join(METRICS)}")
    for name in names:
        if name.partition("@")[0] not in METRICS:
            raise UnknownNameError("objective", name, METRICS)
    found = [name_on_devices(name, devices) for name in names]
    if len(set(found)) < len(names):
        raise InputError(f"--objectives {text!r} names an objective twice")
    return tuple(sorted(found, key=order_of))
