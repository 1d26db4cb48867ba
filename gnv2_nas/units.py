"""Quantities with units: the one place that reads and writes them.

"FLOPs" is the papers' word for multiply-adds of convolutions and linear layers; "MACs" is
accepted for the same. A byte prefix is decimal (MB = 10⁶ bytes) unless written with an i (MiB).
"""

from __future__ import annotations

import math
import re
from typing import Literal, get_args

from gnv2_nas.errors import BudgetError, InputError

Metric = Literal["macs", "params", "latency", "memory"]
METRICS: tuple[Metric, ...] = get_args(Metric)

_PREFIXES = {"": 1.0, "k": 1e3, "m": 1e6, "g": 1e9}
_BYTES = {
    "b": 1.0, "kb": 1e3, "mb": 1e6, "gb": 1e9, "kib": 2.0**10, "mib": 2.0**20, "gib": 2.0**30,
}  # fmt: skip
# Case folding turns the micro sign of keyboards into the Greek letter.
_TIMES_MS = {"us": 1e-3, "\N{GREEK SMALL LETTER MU}s": 1e-3, "ms": 1.0, "s": 1e3}
_EXAMPLES = "for example 300MFLOPs, 12ms, 6Mparams or 20MB"
_NUMBER = re.compile(r"\s*([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*(\S*)\s*")


def parse_quantity(text: str) -> tuple[Metric, float]:
    """What a text such as "300MFLOPs" limits, and the amount.

    Returns:
        ("macs", multiply-adds), ("params", a count), ("latency", milliseconds) or
        ("memory", bytes).

    Raises:
        BudgetError: no number, no or an unknown unit, or not a positive finite amount.
    """
    match = _NUMBER.fullmatch(text)
    if match is None:
        raise BudgetError(
            f"cannot read budget {text!r}: a number with a unit is needed, {_EXAMPLES}"
        )
    number, unit = float(match[1]), match[2]
    if not unit:
        raise BudgetError(f"budget {text!r} has no unit; {_EXAMPLES}")
    metric, factor = _unit(text, unit)
    amount = number * factor
    if not (amount > 0 and math.isfinite(amount)):
        raise BudgetError(f"budget {text!r}: `0 < budget < inf` must hold; {_EXAMPLES}")
    return metric, amount


def _unit(text: str, unit: str) -> tuple[Metric, float]:
    folded = unit.casefold()
    if folded in _TIMES_MS:
        return "latency", _TIMES_MS[folded]
    if folded in _BYTES:
        return "memory", _BYTES[folded]
    counted: tuple[tuple[str, Metric], ...] = (
        ("flops", "macs"), ("flop", "macs"), ("macs", "macs"), ("mac", "macs"),
        ("params", "params"), ("param", "params"),
    )  # fmt: skip
    for suffix, metric in counted:
        prefix = folded.removesuffix(suffix)
        if prefix != folded and prefix in _PREFIXES:
            return metric, _PREFIXES[prefix]
    raise BudgetError(f"budget {text!r}: unknown unit {unit!r}; {_EXAMPLES}")


def format_quantity(metric: Metric, amount: float) -> str:
    """The inverse of `parse_quantity` for reading: "167.0 MFLOPs", "7.42 ms", "24.5 MB"."""
    if metric == "latency":
        return f"{amount:.2f} ms" if amount < 100 else f"{amount:.1f} ms"
    if metric == "memory":
        return f"{amount / 1e6:.1f} MB"
    unit = {"macs": "FLOPs", "params": " params"}[metric]
    if amount >= 1e9:
        return f"{amount / 1e9:.2f} G{unit.strip()}"
    digits = 2 if metric == "params" else 1
    return f"{amount / 1e6:.{digits}f} M{unit.strip()}"


def shortest_quantity(metric: Metric, amount: float) -> str:
    """An amount as one text, however it was written: "30MFLOPs" for 30 MFLOPs and 0.03 GFLOPs."""
    units = {
        "macs": {"MFLOPs": 1e6, "GFLOPs": 1e9, "kFLOPs": 1e3, "FLOPs": 1.0},
        "params": {"Mparams": 1e6, "Gparams": 1e9, "kparams": 1e3, "params": 1.0},
        "latency": {"ms": 1.0, "s": 1e3, "us": 1e-3},
        "memory": {
            "MB": 1e6, "MiB": 2.0**20, "GB": 1e9, "GiB": 2.0**30, "kB": 1e3, "KiB": 2.0**10,
            "B": 1.0,
        },
    }[metric]  # fmt: skip
    texts = [f"{amount / factor:.12g}{unit}" for unit, factor in units.items()]
    return min(texts, key=len)


def format_at_least(metric: Metric, amount: float) -> str:
    """A positive amount to three figures, rounded up: a budget of what it says is enough."""
    factor, unit = {
        "macs": (1e6, "MFLOPs"), "params": (1e6, "Mparams"), "memory": (1e6, "MB"),
        "latency": (1.0, "ms"),
    }[metric]  # fmt: skip
    step = 10.0 ** (math.floor(math.log10(amount)) - 2)
    # The little more outweighs the rounding of reading it again.
    return f"{math.ceil(amount * (1 + 1e-9) / step) * step / factor:.4g} {unit}"


_DURATION = re.compile(r"\s*(\d+\.?\d*|\.\d+)\s*(s|sec|m|min|h)?\s*")
_SECONDS = {"s": 1.0, "sec": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}


def parse_duration(text: str, what: str = "duration") -> float:
    """Seconds in a text such as "90s", "10m" or "1.5h"; a bare number is seconds.

    Raises:
        InputError: cannot be read, or is not above zero.
    """
    match = _DURATION.fullmatch(text.casefold())
    if match is None:
        raise InputError(f"cannot read {what} {text!r}; write for example 90s, 10m or 1.5h")
    seconds = float(match[1]) * _SECONDS[match[2] or "s"]
    if not seconds > 0:
        raise InputError(
            f"{what} {text!r}: `{what.strip('-')} > 0` must hold; write for example 90s or 10m"
        )
    return seconds


def format_duration(seconds: float) -> str:
    """For reading: "45 s", "3 min 20 s", "2 h 5 min"."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
