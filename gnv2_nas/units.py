"""Quantities with units: the one place that reads and writes them.

"FLOPs" is the papers' word for multiply-adds of convolutions and linear layers; "MACs" is
accepted for the same. A byte prefix is decimal (MB = 10⁶ bytes) unless written with an i (MiB).
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from typing import Literal, get_args

from gnv2_nas.errors import BudgetError, InputError

Dimension = Literal["macs", "params", "time", "bytes"]
"""Amounts are in multiply-adds, parameters, milliseconds and bytes."""
DIMENSIONS: tuple[Dimension, ...] = get_args(Dimension)

_UNITS: Mapping[Dimension, Mapping[str, float]] = {
    "macs": {"MFLOPs": 1e6, "GFLOPs": 1e9, "kFLOPs": 1e3, "FLOPs": 1.0},
    "params": {"Mparams": 1e6, "Gparams": 1e9, "kparams": 1e3, "params": 1.0},
    "time": {"ms": 1.0, "s": 1e3, "us": 1e-3},
    "bytes": {
        "MB": 1e6, "MiB": 2.0**20, "GB": 1e9, "GiB": 2.0**30, "kB": 1e3, "KiB": 2.0**10, "B": 1.0,
    },
}  # fmt: skip
"""The units that are written; the first of each dimension is the usual one."""
# Case folding turns the micro sign of keyboards into the Greek letter.
_SPELLINGS = {
    "flops": ("flop", "macs", "mac"), "params": ("param",), "us": ("\N{GREEK SMALL LETTER MU}s",),
}  # fmt: skip
_EXAMPLES = "for example 300MFLOPs, 12ms, 6Mparams or 20MB"
_NUMBER = re.compile(r"\s*([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*(\S*)\s*")


def _known_units() -> Iterator[tuple[str, tuple[Dimension, float]]]:
    """Case-folded spellings of all units with what they mean."""
    for dimension, units in _UNITS.items():
        for unit, factor in units.items():
            folded = unit.casefold()
            yield folded, (dimension, factor)
            for ending, others in _SPELLINGS.items():
                if folded.endswith(ending):
                    for other in others:
                        yield folded.removesuffix(ending) + other, (dimension, factor)


_KNOWN_UNITS = dict(_known_units())


def parse_quantity(text: str) -> tuple[Dimension, float]:
    """The dimension and the amount of a text such as "300MFLOPs".

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
    if unit.casefold() not in _KNOWN_UNITS:
        raise BudgetError(f"budget {text!r}: unknown unit {unit!r}; {_EXAMPLES}")
    dimension, factor = _KNOWN_UNITS[unit.casefold()]
    amount = number * factor
    if not (amount > 0 and math.isfinite(amount)):
        raise BudgetError(f"budget {text!r}: `0 < budget < inf` must hold; {_EXAMPLES}")
    return dimension, amount


def format_quantity(dimension: Dimension, amount: float) -> str:
    """An amount for reading: "167.0 MFLOPs", "7.42 ms", "24.5 MB"."""
    if dimension == "time":
        return f"{amount:.2f} ms" if amount < 100 else f"{amount:.1f} ms"
    if dimension == "bytes":
        return f"{amount / 1e6:.1f} MB"
    unit = {"macs": "FLOPs", "params": "params"}[dimension]
    if amount >= 1e9:
        return f"{amount / 1e9:.2f} G{unit}"
    digits = 2 if dimension == "params" else 1
    return f"{amount / 1e6:.{digits}f} M{unit}"


def shortest_quantity(dimension: Dimension, amount: float) -> str:
    """The shortest text of an amount: "30MFLOPs" for 30 MFLOPs and for 0.03 GFLOPs."""
    texts = [f"{amount / factor:.12g}{unit}" for unit, factor in _UNITS[dimension].items()]
    return min(texts, key=len)


def format_at_least(dimension: Dimension, amount: float) -> str:
    """A positive amount to three figures, rounded up: a budget of this text is large enough."""
    unit, factor = next(iter(_UNITS[dimension].items()))
    step = 10.0 ** (math.floor(math.log10(amount)) - 2)
    # The small excess outweighs the rounding when the text is read again.
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


_RATE = re.compile(r"\s*(\d+\.?\d*|\.\d+)\s*(?:fps|/s|hz)?\s*")


def parse_rate(text: str, what: str = "rate") -> float:
    """Times a second in a text such as "30fps"; a bare number means the same.

    Raises:
        InputError: cannot be read, or is not above zero.
    """
    match = _RATE.fullmatch(text.casefold())
    if match is None or not float(match[1]) > 0:
        raise InputError(f"{what} takes frames a second above 0, such as 30fps, but got {text!r}")
    return float(match[1])


def format_duration(seconds: float) -> str:
    """For reading: "45 s", "3 min 20 s", "2 h 5 min"."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
