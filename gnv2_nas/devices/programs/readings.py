"""What benchmark programs print, read strictly: it comes from a program that we did not write."""

from __future__ import annotations

import math
import re
import statistics
from collections.abc import Sequence

import msgspec

from gnv2_nas.errors import MeasurementError

MIN_SECONDS, MAX_SECONDS = 1e-9, 1e4
"""Of a call; what lies outside is no time."""
_NUMBER = r"([-+.\w]+)"
"""Whatever stands where a number belongs, such as "nan"; `_seconds` checks it."""


class Reading(msgspec.Struct, frozen=True):
    """The times that one run of a program printed, in seconds a call."""

    first: float
    """The calls before those that count; the same as `counted` if the program does not tell."""
    counted: float
    """Median of the calls that count; their mean if the program prints no median."""


def read_benchmark_model(text: str) -> Reading | None:
    """Read LiteRT's `benchmark_model` (C++): microseconds, and a median in newer versions.

    Returns:
        None if the text has no times, as for the other functions.

    Raises:
        MeasurementError: a time is not a positive number, as for the other functions.
    """
    found = _last(rf"Warmup \(avg\): {_NUMBER}, Inference \(avg\): {_NUMBER}", text)
    if found is None:
        return None
    counts = _last(rf"^.*\bcount=\d+ .*\bmedian={_NUMBER}", text)
    return Reading(_seconds(found[0], 1e-6), _seconds(counts[0] if counts else found[1], 1e-6))


def read_litert_benchmark(text: str) -> Reading | None:
    """Read `litert-benchmark` of the package ai-edge-litert: milliseconds with two decimals."""
    first = _last(rf"^Warmup \(avg\): +{_NUMBER} ms", text)
    counted = _last(rf"^Inference \(median\): +{_NUMBER} ms", text)
    if first is None or counted is None:
        return None
    return Reading(_seconds(first[0], 1e-3), _seconds(counted[0], 1e-3))


def read_executor_runner(text: str) -> Reading | None:
    """Read ExecuTorch's `executor_runner`: milliseconds of each call, or of all together."""
    each = re.findall(rf"Iteration \d+ of \d+: {_NUMBER} ms", text)
    if len(each) > 1:
        first, *counted = (_seconds(one, 1e-3) for one in each)
        return Reading(first, statistics.median(counted))
    total = _last(rf"Model executed successfully (\d+) time\(s\) in {_NUMBER} ms", text)
    if total is None:
        return None
    seconds = _seconds(total[1], 1e-3) / max(int(total[0]), 1)
    return Reading(seconds, seconds)


def read_trtexec(text: str) -> Reading | None:
    """Read NVIDIA's `trtexec`: milliseconds on the GPU, without the copies to and from it."""
    found = _last(rf"GPU Compute Time: .*?\bmedian = {_NUMBER} ms", text)
    if found is None:
        return None
    seconds = _seconds(found[0], 1e-3)
    return Reading(seconds, seconds)


def _last(pattern: str, text: str) -> Sequence[str] | None:
    """Return the groups of the last match in a text."""
    found = list(re.finditer(pattern, text, re.MULTILINE))
    return found[-1].groups() if found else None


def _seconds(text: str, unit: float) -> float:
    try:
        seconds = float(text) * unit
    except ValueError:
        seconds = math.nan
    if not MIN_SECONDS <= seconds <= MAX_SECONDS:
        raise MeasurementError(f"the time of a call is {text!r}, but must be a positive number")
    return seconds
