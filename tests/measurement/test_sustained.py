"""A network that runs on: its minutes, and the first against the last."""

from __future__ import annotations

import math

import msgspec
import pytest

from gnv2_nas.errors import MeasurementError
from gnv2_nas.measurement import sustained
from gnv2_nas.measurement.sustained import compare_minutes, measure_sustained
from tests.measurement.networks import tiny_ghost

STEADY = (0.001, -0.002, 0.0, 0.002, -0.001, 0.0)


@pytest.mark.parametrize(
    ("change", "spread", "verdict"),
    [(0.1, 1, "SLOWER"), (-0.1, 1, "FASTER"), (0.0, 1, "SAME"), (0.01, 1, "SAME"),
     (0.02, 1, "CANNOT TELL"), (0.1, 50, "CANNOT TELL")],
)  # fmt: skip
def test_the_last_minute_is_compared_with_the_first(change, spread, verdict):
    first = [spread * each for each in STEADY]
    between = [5.0] * 12
    ratio, (low, high), said = compare_minutes(
        [*first, *between, *(each + change for each in first)]
    )
    assert ratio == pytest.approx(math.exp(change))
    assert low < ratio < high
    assert said == verdict
    # Welch's interval of two groups of six with one variance: t of 10 degrees.
    error = math.sqrt(2 * spread**2 * sum(each**2 for each in STEADY) / 5 / 6)
    assert math.log(high / low) / 2 == pytest.approx(2.228 * error, rel=0.02)


def test_a_network_runs_on_for_all_its_minutes(cpu, monkeypatch):
    monkeypatch.setattr(sustained, "SESSION_SECONDS", 0.05)
    monkeypatch.setattr(sustained, "PROBING_SECONDS", 0.02)
    monkeypatch.setattr(sustained, "SECONDS_BETWEEN_REPORTS", 0.01)
    shares = []
    found = measure_sustained(tiny_ghost(), cpu, 0.75, shares.append)
    first, second, rest = found.minutes
    assert first.start == 0 < second.start < rest.start
    for minute in found.minutes:
        assert 0 < minute.ms <= minute.p90_ms < 100
        assert minute.calls % 2 == 0
    assert shares == sorted(shares)
    assert 0.5 < shares[-1] <= 1
    assert found.clock == "cpu"
    assert found.parity < 1e-3
    assert found.conditions.before.cores
    assert msgspec.json.decode(msgspec.json.encode(found), type=type(found)) == found


def test_a_clock_that_is_too_coarse_is_an_error(cpu, monkeypatch):
    monkeypatch.setattr(cpu.runtime, "timer", lambda run: (run(), 0.0)[1:] * 2)
    with pytest.raises(MeasurementError, match="clock is too coarse"):
        measure_sustained(tiny_ghost(), cpu, 0.75)


def test_with_a_pace_the_calls_are_counted_by_it(monkeypatch):
    from gnv2_nas.measurement import open_device

    monkeypatch.setattr(sustained, "SESSION_SECONDS", 0.1)
    found = measure_sustained(tiny_ghost(), open_device("cpu", 100.0), 0.6)
    assert found.pace == 100
    (minute,) = found.minutes
    # Six sessions of ten calls; each starts with a call that its order does not count.
    assert 12 <= minute.calls <= 72
