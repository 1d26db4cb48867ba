"""What a calibration finds, and whether it errs by as much as it says."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from gnv2_nas.measurement.plan import Timings
from gnv2_nas.measurement.records.record import ErrorParts, pool
from gnv2_nas.measurement.references import LASTING, size_correlation, summarize_panel
from gnv2_nas.measurement.statistics import Prior, estimate
from tests.measurement.test_pooling import measured

POSITIONS = np.array([0.2, 0.22, 0.42, 0.7, 0.9, 0.2])
"""The reference first and last."""
REFERENCES = [0, 5]
TRUTH = np.array([0.0, -0.3, -0.8, -1.4, -2.3, 0.0])
SPREADS = np.array([0.008, 0.008, 0.01, 0.015, 0.03, 0.008])
SIZE_SPREAD, NOISE = 0.05, 0.01
SPEED = np.log(7e-3)
ROOT = np.linalg.cholesky(size_correlation(POSITIONS, POSITIONS) + 1e-9 * np.eye(6))


def sessions(rng, count=32, memory=0.6):
    """(6, count) levels: what disturbs the machine lasts for a few of them, or for them all."""
    lasting = LASTING * SIZE_SPREAD * ROOT @ rng.normal(size=6)
    by_size, state = np.zeros(6), []
    for _ in range(count):
        fresh = SIZE_SPREAD * ROOT @ rng.normal(size=6)
        by_size = memory * by_size + np.sqrt(1 - memory**2) * fresh
        state.append(by_size + lasting)
    own = rng.normal(size=(6, count)) * np.hypot(SPREADS, NOISE)[:, None]
    shared = rng.normal(0, 0.1, count)
    return SPEED + TRUTH[:, None] + np.array(state).T + own + shared


def summary(rng, **how):
    return summarize_panel(sessions(rng, **how), np.full(6, NOISE**2), POSITIONS, REFERENCES)


def test_ratios_and_their_errors():
    rng = np.random.default_rng(0)
    found = [summary(rng) for _ in range(60)]
    off = np.array([each.log_ratios - TRUTH for each in found])[:, 1:5]
    errors = np.array([np.sqrt(np.diag(each.covariance)) for each in found])[:, 1:5]
    assert np.abs(off.mean(axis=0)).max() < 0.01
    assert np.mean(np.abs(off) <= 1.96 * errors) > 0.88
    assert np.median(errors / off.std(axis=0)) < 1.6


def test_what_small_networks_share_is_in_the_covariance():
    rng = np.random.default_rng(1)
    covariance = np.mean([summary(rng).covariance for _ in range(40)], axis=0)
    assert covariance[3, 4] > 0.5 * np.sqrt(covariance[3, 3] * covariance[4, 4])


def test_spreads_are_told_apart_from_what_sizes_share():
    rng = np.random.default_rng(2)
    found = [summary(rng, count=64, memory=0.0) for _ in range(8)]
    spreads = np.median([each.session_spreads for each in found], axis=0)
    assert spreads == pytest.approx(SPREADS, rel=0.5)
    assert np.median([each.size_spread for each in found]) == pytest.approx(SIZE_SPREAD, rel=0.4)


def test_the_references_time_has_an_error_too():
    rng = np.random.default_rng(3)
    found = [summary(rng) for _ in range(40)]
    off = np.array([each.log_time - SPEED for each in found])
    assert np.mean(np.abs(off) <= [1.96 * each.time_error for each in found]) > 0.85


@pytest.mark.parametrize("count", [1, 2, 3])
def test_a_few_sessions_say_little(count):
    found = summary(np.random.default_rng(4), count=count)
    errors = np.sqrt(np.diag(found.covariance))[1:5]
    assert np.isfinite(found.log_ratios).all()
    assert np.isfinite(found.session_spreads).all()
    assert (errors > 0).all()


def batch(rng, rounds=30, per_session=15):
    """Timings of the panel, and of networks of positions 0.2 and 0.8 whose log ratios are -0.1 and
    -1.9."""
    places = np.append(POSITIONS[:5], [0.2, 0.8])
    truth = SPEED + np.append(TRUTH[:5], [-0.1, -1.9])
    spreads = np.append(SPREADS[:5], [0.008, 0.02])
    root = np.linalg.cholesky(size_correlation(places, places) + 1e-9 * np.eye(7))
    number = np.arange(rounds) // per_session
    count = number[-1] + 1
    moved = SIZE_SPREAD * root @ rng.normal(size=(7, count)) + spreads[:, None] * rng.normal(
        size=(7, count)
    )
    order = np.array([rng.permutation(7) for _ in range(rounds)]).T + 7 * np.arange(rounds)

    def call():
        return np.exp((truth[:, None] + moved[:, number]) + 0.04 * rng.normal(size=(7, rounds)))

    first, counts = call(), call()
    prior = Prior(places, spreads, SIZE_SPREAD)
    return Timings(order, number, counts, counts, first, first), prior, np.array([-0.1, -1.9])


def test_intervals_on_a_calibration_hold_however_many_measurements_are_pooled():
    """The calibration's error is one draw for all of them."""
    rng = np.random.default_rng(5)
    held = []
    for _ in range(60):
        known = summary(rng)
        panel = dict(enumerate(np.append(0.0, known.log_ratios[1:5])))
        covariance = known.covariance[:5, :5].copy()
        covariance[0], covariance[:, 0] = 0, 0
        four = [[], []]
        for _ in range(4):
            timings, prior, truth = batch(rng)
            prior = msgspec.structs.replace(prior, covariance=covariance)
            found = estimate(timings, panel, prior)
            for row, kept in enumerate(four, start=5):
                half = found.half[row] / 1.96
                errors = found.errors(row)
                kept.append(measured(np.exp(found.log_ratio[row]), half, errors=errors))
        for kept, log_ratio in zip(four, truth, strict=True):
            one, together = kept[0], pool(pool(kept[0], kept[1]), pool(kept[2], kept[3]))
            held.append([
                each.ratio_ci95[0] <= np.exp(log_ratio) <= each.ratio_ci95[1]
                for each in (one, together)
            ])  # fmt: skip
            assert together.errors.calibration > 0.9 * min(each.errors.calibration for each in kept)
            assert ErrorParts() != together.errors
    assert (np.mean(held, axis=0) >= 0.9).all()
