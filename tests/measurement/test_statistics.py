"""The statistics on made-up visits whose true ratios are known."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from gnv2_nas.measurement.plan import Timings
from gnv2_nas.measurement.statistics import Prior, adjust_logs, estimate, preempted_share

REFERENCE = 7e-3
PANEL = {0: 0.0, 1: np.log(0.75), 2: np.log(0.7)}
SPREAD = 0.006
RUNS = 150


def made_up(rng, ratios, rounds=50, noise=0.03, tails="normal", sessions=2, spread=SPREAD, state=1):
    """Timings of the panel and of networks of these ratios.

    The machine's state wanders by several per cent within a few timings, for a while everything
    takes up to several times as long, and each session moves each network a little.
    """
    truth = np.log(REFERENCE * np.array([*np.exp(list(PANEL.values())), *ratios]))
    networks = len(truth)
    order = np.array([rng.permutation(networks) for _ in range(rounds)]).T
    order = order + networks * np.arange(rounds)
    session = np.arange(rounds) * sessions // rounds
    moved = rng.normal(0, spread, (networks, sessions))[:, session]
    wander, state_of = 0.0, np.empty(order.size)
    for step in range(order.size):
        wander = 0.8 * wander + rng.normal(0, 0.05)
        state_of[step] = wander
    slow = np.repeat(rng.random(rounds) < 0.1, networks) * rng.exponential(0.5, order.size)
    shared = state * (state_of + slow)[order]

    def call():
        deviates = rng.standard_normal((networks, rounds))
        if tails == "heavy":
            deviates = rng.standard_t(2.5, (networks, rounds))
        return np.exp(truth[:, None] + moved + shared + noise * deviates)

    first, counts = 1.1 * call(), call()
    return Timings(order, session, 1.2 * counts, counts, 1.2 * first, first)


def known(networks, **more):
    """What is known of networks of one size whose sessions differ by `SPREAD`."""
    return Prior(np.zeros(networks), np.full(networks, SPREAD), **more)


def all_runs(ratios, count=RUNS, **how):
    rng = np.random.default_rng(0)
    return [
        estimate(made_up(rng, ratios, **how), PANEL, known(3 + len(ratios)), seed=run)
        for run in range(count)
    ]


RATIOS = {"one": [0.3], "four": [0.3, 0.9, 1.0, 2.0], "batch": [*np.geomspace(0.3, 2, 8)]}


@pytest.mark.parametrize("tails", ["normal", "heavy"])
@pytest.mark.parametrize("ratios", RATIOS.values(), ids=RATIOS)
def test_ratios_are_recovered_and_intervals_are_honest(ratios, tails):
    runs = all_runs(ratios, tails=tails)
    errors = np.array([run.log_ratio[3:] - np.log(ratios) for run in runs])
    half = np.array([run.half[3:] for run in runs])
    assert np.abs(errors.mean(axis=0)).max() < 0.004
    assert errors.std() < 0.015
    assert 0.91 <= np.mean(np.abs(errors) <= half) <= 0.99
    # As wide as they must be, and not much wider.
    assert half.mean() < 3 * errors.std()


def test_sessions_that_differ_more_widen_the_interval():
    calm, moved = (
        np.mean([run.half[3:].mean() for run in all_runs(RATIOS["batch"], 20, spread=spread)])
        for spread in (0.0, 0.05)
    )
    assert moved > 2 * calm


def test_more_rounds_narrow_a_networks_own_error():
    few, many = (
        np.median([run.own[3] for run in all_runs([0.5], 40, rounds=rounds)])
        for rounds in (20, 180)
    )
    assert 2 < few / many < 5


def typical_deviation(logs):
    """Median distance of a network's rounds from their median."""
    return np.median(np.abs(logs - np.median(logs, axis=1, keepdims=True)))


def test_most_of_what_neighbours_in_time_share_is_taken_out():
    many = [made_up(np.random.default_rng(run), RATIOS["batch"]) for run in range(10)]
    before, after = (
        np.mean([typical_deviation(logs(timings)) for timings in many])
        for logs in (lambda timings: np.log(timings.busy), adjust_logs)
    )
    assert after < 0.7 * before


@pytest.mark.parametrize("network", [0, 3])
def test_a_ruined_call_does_not_move_the_ratio(network):
    timings = made_up(np.random.default_rng(5), [0.5])
    ruined = msgspec.structs.replace(timings, busy=timings.busy.copy())
    ruined.busy[network, 7] *= 1000
    before, after = (estimate(each, PANEL).log_ratio[3] for each in (timings, ruined))
    assert after == pytest.approx(before, abs=0.006)


def test_a_panel_averages_what_single_references_do():
    rng = np.random.default_rng(8)
    both = [made_up(rng, [0.5], spread=0.03) for _ in range(RUNS)]
    alone, together = (
        np.std([estimate(timings, panel).log_ratio[3] for timings in both])
        for panel in ({0: 0.0}, PANEL)
    )
    assert together < 0.9 * alone


def test_the_reference_has_its_own_time():
    found = estimate(made_up(np.random.default_rng(7), [0.3], state=0), PANEL)
    assert found.reference_seconds == pytest.approx(REFERENCE, rel=0.02)
    assert np.exp(found.log_ratio[:3]) == pytest.approx(np.exp(list(PANEL.values())), rel=0.03)


def test_the_clock_that_is_asked_for_counts():
    timings = made_up(np.random.default_rng(7), [0.3], state=0)
    busy, wall = (estimate(timings, PANEL, busy=choice) for choice in (True, False))
    assert wall.reference_seconds / busy.reference_seconds == pytest.approx(1.2)
    assert wall.log_ratio == pytest.approx(busy.log_ratio)


def test_the_same_visits_give_the_same_estimates():
    timings = made_up(np.random.default_rng(9), RATIOS["four"])
    one, same = (estimate(timings, PANEL, seed=4) for _ in range(2))
    assert (one.log_ratio == same.log_ratio).all()
    assert (one.half == same.half).all()


@pytest.mark.parametrize("rounds", [1, 2, 3])
def test_few_rounds_are_no_error_and_no_precision(rounds):
    found = estimate(made_up(np.random.default_rng(1), [0.5], rounds=rounds, sessions=1), PANEL)
    assert np.isfinite(found.log_ratio).all()
    assert (found.half > 0).all()


def test_preempted_calls_are_those_that_took_longer_than_they_worked():
    wall, busy = np.array([1.0, 1.05, 1.1, 1.2, 3.0]), np.ones(5)
    assert preempted_share(wall, busy) == 0.4
    assert preempted_share(10 * wall, 10 * busy) == 0.4


def test_the_parts_of_an_error_add_up():
    found = estimate(made_up(np.random.default_rng(2), [0.5]), PANEL, known(4), seed=1)
    own = found.own**2 + found.own_sessions**2 + found.panel**2
    assert found.narrowable == pytest.approx(1.96 * np.sqrt(own))
    assert found.half == pytest.approx(1.96 * np.sqrt(own + found.calibration**2))
    parts = found.errors(3)
    expected = (found.own[3], found.own_sessions[3], found.panel[3], found.calibration[3])
    assert msgspec.structs.astuple(parts) == pytest.approx(expected)


def test_twice_the_sessions_halve_the_variance_of_the_sessions():
    two, four = (
        estimate(made_up(np.random.default_rng(3), [0.5], rounds=48, sessions=n), PANEL, known(4))
        for n in (2, 4)
    )
    assert two.own_sessions == pytest.approx(two.spread / 2**0.5)
    assert four.own_sessions == pytest.approx(four.spread / 2)
