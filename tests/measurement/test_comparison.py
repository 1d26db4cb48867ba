"""FASTER, SLOWER, SAME, CANNOT TELL; and whether a budget is met."""

from __future__ import annotations

import math

import msgspec
import numpy as np
import pytest

from gnv2_nas.devices.fingerprint import Fingerprint
from gnv2_nas.measurement.records.record import ErrorParts, Measurement, check_budget, compare
from gnv2_nas.measurement.stability import compute_percentiles


def measurement(ratio=1.0, own=0.003, sessions=0.005, panel=0.02, batch="one", **changes):
    half = 1.96 * math.hypot(own, sessions, panel)
    interval = (ratio * math.exp(-half), ratio * math.exp(half))
    made = Measurement(
        architecture="a", device="cpu", runtime="onnxruntime", threads=1, precision="fp32",
        ms=10 * ratio, ci95=(10 * interval[0], 10 * interval[1]), ratio=ratio, ratio_ci95=interval,
        stable=True, reason="", clock="cpu", raw_ms=11 * ratio, rounds=50,
        taken_at="2026-01-31T12:00:00+00:00", fingerprint=Fingerprint("x", 2, 8.0, "L", "3", "o 1"),
        errors=ErrorParts(own, sessions, panel), batch=batch,
    )  # fmt: skip
    return msgspec.structs.replace(made, **changes)


@pytest.mark.parametrize(
    ("ratio", "own", "verdict"),
    [
        (0.9, 0.003, "FASTER"),
        (1.1, 0.003, "SLOWER"),
        (1.001, 0.003, "SAME"),
        (0.99, 0.003, "SAME"),
        (0.98, 0.003, "CANNOT TELL"),
        (1.001, 0.02, "CANNOT TELL"),
        (0.9, 0.05, "CANNOT TELL"),
    ],
)
def test_verdicts(ratio, own, verdict):
    found = compare(measurement(ratio, own), measurement(1.0, own))
    assert found.verdict == verdict
    assert found.ratio == pytest.approx(ratio)
    assert found.ci95[0] < ratio < found.ci95[1]


def test_turned_around_it_says_the_opposite():
    opposite = {"FASTER": "SLOWER", "SLOWER": "FASTER"}
    for ratio in (0.8, 0.97, 0.985, 1.0, 1.02, 1.04):
        one, other = measurement(ratio), measurement()
        there, back = compare(one, other), compare(other, one)
        assert back.verdict == opposite.get(there.verdict, there.verdict)
        assert back.ratio == pytest.approx(1 / there.ratio)


def test_a_device_whose_sessions_differ_more_tells_less_apart():
    for sessions, verdict in ((0.005, "FASTER"), (0.03, "SAME")):
        pair = (measurement(0.96, sessions=sessions), measurement(1.0, sessions=sessions))
        assert compare(*pair).verdict == verdict


def test_only_networks_of_one_batch_are_spared_the_panels_error():
    together = compare(measurement(0.95), measurement())
    apart = compare(measurement(0.95), measurement(batch="two"))
    assert together.verdict == "FASTER"
    assert apart.verdict == "CANNOT TELL"
    assert apart.ci95[1] - apart.ci95[0] > together.ci95[1] - together.ci95[0]


@pytest.mark.parametrize("rounds", [1, 2, 9])
def test_of_too_few_rounds_nothing_is_told(rounds):
    few = measurement(0.5, rounds=rounds)
    assert compare(few, measurement()).verdict == "CANNOT TELL"
    assert compare(measurement(), few).verdict == "CANNOT TELL"
    assert check_budget(few, 100) == check_budget(few, 0.1) == "cannot tell"


def test_the_calibrations_error_cancels_where_it_is_the_same():
    def pair(first: float, second: float, batch: str) -> float:
        errors = [ErrorParts(0.003, 0.005, 0.001, calibration) for calibration in (first, second)]
        found = compare(measurement(errors=errors[0]), measurement(errors=errors[1], batch=batch))
        return found.ci95[1]

    assert pair(0.05, 0.05, "two") == pair(0.0, 0.0, "two")
    assert pair(0.0, 0.05, "two") > pair(0.0, 0.0, "two")
    assert pair(0.0, 0.05, "one") == pair(0.0, 0.0, "one")


def test_identical_networks_are_rarely_called_different_and_three_percent_mostly():
    """With the errors a comparison on the command line ends up with."""
    rng = np.random.default_rng(0)
    own, sessions = 0.003, 0.0035
    called = {0.0: 0, math.log(1.03): 0}
    for truth in called:
        for _ in range(1000):
            noise = rng.normal(0, math.hypot(own, sessions), 2)
            pair = (math.exp(truth + noise[0]), math.exp(noise[1]))
            found = compare(*(measurement(ratio, own, sessions) for ratio in pair))
            called[truth] += found.verdict in ("FASTER", "SLOWER")
    identical, apart = called.values()
    assert identical < 20
    assert apart > 920


@pytest.mark.parametrize("change", [{"device": "phone"}, {"threads": 2}, {"runtime": "ncnn"}])
def test_different_devices_do_not_compare(change):
    with pytest.raises(ValueError, match=next(iter(change))):
        compare(measurement(), measurement(**change))


@pytest.mark.parametrize(
    ("limit", "verdict"), [(12, "met"), (10.0, "cannot tell"), (9.7, "cannot tell"), (9, "broken")]
)
def test_a_budget_is_met_or_broken_by_the_whole_interval(limit, verdict):
    assert check_budget(measurement(), limit) == verdict


@pytest.mark.parametrize(
    ("calls", "names"),
    [(63, []), (64, ["p90"]), (129, ["p90"]), (130, ["p90", "p95"]), (662, ["p90", "p95", "p99"])],
)
def test_tails_are_told_where_there_are_calls_enough(calls, names):
    found = compute_percentiles(np.arange(calls, dtype=float))
    assert list(found) == names
    for name, value in found.items():
        assert value == pytest.approx((calls - 1) * int(name[1:]) / 100)
