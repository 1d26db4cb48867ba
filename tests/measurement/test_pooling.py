"""Two measurements of one network are one better measurement."""

from __future__ import annotations

import functools
import math

import pytest

from gnv2_nas.devices.fingerprint import Fingerprint
from gnv2_nas.measurement.records.record import ErrorParts, Measurement, pool
from gnv2_nas.stats.intervals import Z95

REFERENCE_MS = 10.0


def measured(ratio, error, *, reference_ms=REFERENCE_MS, **more):
    """A measurement with a standard error of the log of its ratio."""
    low, high = (ratio * math.exp(side * Z95 * error) for side in (-1, 1))
    options = {
        "architecture": "abc", "device": "cpu", "runtime": "onnxruntime", "threads": 1,
        "precision": "fp32", "ms": ratio * reference_ms, "ratio": ratio,
        "ci95": (low * reference_ms, high * reference_ms), "ratio_ci95": (low, high),
        "stable": True, "reason": "", "clock": "cpu", "raw_ms": 1.7, "rounds": 4, "sessions": 2,
        "taken_at": "2026-01-31", "fingerprint": Fingerprint("c", 2, 4.0, "L", "3.11", "o"),
        "errors": ErrorParts(own=error), "batch": "b",
    }  # fmt: skip
    return Measurement(**options | more)


def test_of_two_that_are_equally_sure_it_is_the_middle():
    both = pool(measured(0.2, 0.02), measured(0.3, 0.02))
    assert both.ratio == pytest.approx(math.sqrt(0.2 * 0.3))
    assert both.ratio_ci95[1] / both.ratio == pytest.approx(math.exp(Z95 * 0.02 / math.sqrt(2)))


@pytest.mark.parametrize("turned", [False, True])
def test_the_surer_one_counts_for_more(turned):
    pair = [measured(0.2, 0.01), measured(0.3, 0.03)]
    both = pool(*(pair[::-1] if turned else pair))
    # Weights are 1 / 0.01² and 1 / 0.03²: nine to one.
    assert math.log(both.ratio) == pytest.approx(0.9 * math.log(0.2) + 0.1 * math.log(0.3))


@pytest.mark.parametrize("errors", [(0.02, 0.02), (0.01, 0.08), (0.08, 0.01)])
def test_its_interval_is_narrower_than_either(errors):
    first, second = (
        measured(ratio, error) for ratio, error in zip((0.2, 0.21), errors, strict=True)
    )
    both = pool(first, second)
    widths = [math.log(each.ratio_ci95[1] / each.ratio_ci95[0]) for each in (both, first, second)]
    assert widths[0] < min(widths[1:])
    assert both.ratio_ci95[0] < both.ratio < both.ratio_ci95[1]


def test_milliseconds_are_the_ratio_on_one_reference():
    both = pool(measured(0.2, 0.02), measured(0.3, 0.02))
    for ms, ratio in zip((both.ms, *both.ci95), (both.ratio, *both.ratio_ci95), strict=True):
        assert ms == pytest.approx(REFERENCE_MS * ratio)


def test_parts_of_the_error_are_pooled_like_the_whole():
    first = measured(0.2, 0.02, errors=ErrorParts(0.012, 0.0, 0.016))
    second = measured(0.2, 0.02, errors=ErrorParts(0.0, 0.02, 0.0))
    errors = pool(first, second).errors
    assert (errors.own, errors.own_sessions, errors.panel) == pytest.approx((0.006, 0.01, 0.008))
    assert errors.calibration == 0
    assert math.hypot(errors.own, errors.own_sessions, errors.panel) == pytest.approx(
        0.02 / math.sqrt(2)
    )


def test_what_all_measurements_share_stays_however_many_are_pooled():
    own, calibration, reference = 0.003, 0.02, 0.015
    whole = math.hypot(own, calibration)
    low, high = (2.0 * math.exp(side * Z95 * math.hypot(whole, reference)) for side in (-1, 1))
    one = measured(
        0.2, whole, errors=ErrorParts(own=own, calibration=calibration), ci95=(low, high)
    )
    several = functools.reduce(pool, [one] * 8)
    assert several.errors.own == pytest.approx(own / math.sqrt(8))
    assert several.errors.calibration == pytest.approx(calibration)
    half = math.hypot(own / math.sqrt(8), calibration)
    assert several.ratio_ci95[1] == pytest.approx(0.2 * math.exp(Z95 * half))
    assert several.ci95[1] == pytest.approx(2.0 * math.exp(Z95 * math.hypot(half, reference)))


def test_what_they_share_does_not_decide_which_counts_for_more():
    pair = [
        measured(ratio, math.hypot(own, 0.1), errors=ErrorParts(own=own, calibration=0.1))
        for ratio, own in ((0.2, 0.01), (0.3, 0.03))
    ]
    assert math.log(pool(*pair).ratio) == pytest.approx(0.9 * math.log(0.2) + 0.1 * math.log(0.3))


def test_rounds_and_sessions_add_up_and_the_rest_is_of_the_second():
    first, second = measured(0.2, 0.02, taken_at="2026-01-30"), measured(0.2, 0.02, batch="c")
    both = pool(first, second)
    assert (both.rounds, both.sessions) == (8, 4)
    assert both.taken_at == "2026-01-31"
    # Networks of batch b or c were not all measured beside it.
    assert both.batch not in ("b", "c")


def test_one_stable_measurement_is_enough():
    shaky = measured(0.2, 0.2, stable=False, reason="noisy")
    assert pool(shaky, measured(0.2, 0.01)).stable
    assert pool(measured(0.2, 0.01), shaky).reason == ""
    neither = pool(shaky, shaky)
    assert (neither.stable, neither.reason) == (False, "noisy")


def test_a_measurement_without_error_decides():
    assert pool(measured(0.2, 0.0), measured(0.3, 0.05)).ratio == pytest.approx(0.2, rel=1e-6)


def test_two_networks_do_not_pool():
    with pytest.raises(ValueError, match="measurements of one network pool, but got abc and xyz"):
        pool(measured(0.2, 0.02), measured(0.2, 0.02, architecture="xyz"))
