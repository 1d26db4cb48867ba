"""The statistics on made-up rounds whose true ratios are known."""

from __future__ import annotations

import numpy as np
import pytest

from gnv2_nas.profiling.statistics import estimate, preempted_share, round_effects

REFERENCE = 7e-3
RUNS = 200


def made_up(rng, ratios, rounds=40, noise=0.02, tails="normal", shared=True):
    """Seconds (2 references + networks, rounds): noise of each call, and of each round alike.

    Rounds drift by several per cent, and one in ten is slow by up to several times.
    """
    truth = np.log(REFERENCE * np.array([1, 1, *ratios]))[:, None]
    effects = np.zeros(rounds)
    if shared:
        effects = np.cumsum(rng.normal(0, 0.03, rounds))
        effects += (rng.random(rounds) < 0.1) * rng.exponential(1.0, rounds)
    shape = (len(truth), rounds)
    deviates = rng.standard_normal(shape) if tails == "normal" else rng.standard_t(2.5, shape)
    return np.exp(truth + effects + noise * deviates)


def all_runs(ratios, count=RUNS, **how):
    rng = np.random.default_rng(0)
    return [estimate(made_up(rng, ratios, **how), [0, 1], seed=run) for run in range(count)]


RATIOS = {"one": [0.3], "four": [0.3, 0.9, 1.0, 2.0], "batch": [*np.geomspace(0.3, 2, 8)]}


@pytest.mark.parametrize("tails", ["normal", "heavy"])
@pytest.mark.parametrize("ratios", RATIOS.values(), ids=RATIOS)
def test_ratios_are_recovered_and_intervals_are_honest(ratios, tails):
    runs = all_runs(ratios, tails=tails)
    errors = np.log([run.ratio[2:] / ratios for run in runs])
    assert np.abs(errors.mean(axis=0)).max() < 0.002
    assert errors.std() < 0.008
    held = [(run.low[2:] <= ratios) & (ratios <= run.high[2:]) for run in runs]
    assert 0.90 <= np.mean(held) <= 0.98
    # As wide as they must be, and not much wider.
    widths = np.mean([run.half_width[2:] for run in runs])
    assert widths < 2.8 * errors.std()


def test_identical_networks_are_told_apart_one_time_in_ten_at_most():
    runs = all_runs([1.0, 1.0], rounds=30)
    held = np.array([(run.low[2:] <= 1) & (run.high[2:] >= 1) for run in runs])
    assert held.mean() >= 0.9


def test_more_rounds_narrow_the_interval():
    few, many = (
        np.mean([run.half_width[2] for run in all_runs([0.5], 40, rounds=rounds)])
        for rounds in (20, 180)
    )
    assert few / many == pytest.approx(3, rel=0.25)


@pytest.mark.parametrize("ratios", RATIOS.values(), ids=RATIOS)
def test_what_all_networks_of_a_round_share_makes_no_difference(ratios):
    calm = made_up(np.random.default_rng(3), ratios, shared=False)
    disturbed = calm * np.random.default_rng(4).uniform(1, 50, calm.shape[1])
    for name in ("ratio", "low", "high"):
        found, expected = (getattr(estimate(s, [0, 1]), name) for s in (disturbed, calm))
        np.testing.assert_allclose(found, expected, rtol=2e-3)


def test_a_ruined_call_does_not_move_the_ratio():
    seconds = made_up(np.random.default_rng(5), [0.5], shared=False)
    ruined = seconds.copy()
    ruined[2, 7] *= 1000
    ruined[0, 11] *= 1000
    before, after = (estimate(s, [0, 1]).ratio[2] for s in (seconds, ruined))
    assert after == pytest.approx(before, rel=0.005)


def test_the_interval_holds_the_estimate_and_the_reference_is_one():
    seconds = made_up(np.random.default_rng(6), RATIOS["batch"], rounds=3)
    found = estimate(seconds, [0, 1])
    assert (found.low <= found.ratio).all()
    assert (found.ratio <= found.high).all()
    assert np.log(found.ratio[:2]).mean() == pytest.approx(0, abs=1e-12)
    assert found.reference_seconds == pytest.approx(REFERENCE, rel=0.2)


@pytest.mark.parametrize("ratios", RATIOS.values(), ids=RATIOS)
def test_the_reference_has_its_own_time(ratios):
    found = estimate(made_up(np.random.default_rng(7), ratios, shared=False), [0, 1])
    assert found.reference_seconds == pytest.approx(REFERENCE, rel=0.01)


def test_the_same_samples_give_the_same_estimates():
    seconds = made_up(np.random.default_rng(8), RATIOS["four"])
    one, other = estimate(seconds, [0, 1]), estimate(seconds.copy(), [0, 1])
    assert one.low.tolist() == other.low.tolist()
    assert one.high.tolist() == other.high.tolist()


def test_round_effects_are_found_and_centred():
    rng = np.random.default_rng(9)
    effects = rng.normal(0, 0.5, 21)
    networks = rng.normal(0, 2, 9)
    found = round_effects(networks[:, None] + effects + rng.normal(0, 1e-3, (9, 21)))
    np.testing.assert_allclose(found, effects - np.median(effects), atol=5e-3)


def test_calls_that_waited_for_the_processor():
    cpu = np.array([1.0, 1.0, 1.0, 1.0])
    assert preempted_share(np.array([1.0, 1.05, 1.2, 4.0]), cpu) == 0.5
