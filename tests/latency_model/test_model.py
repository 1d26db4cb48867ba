"""A latency model against devices whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest

from gnv2_nas.arch import preset
from gnv2_nas.errors import InputError
from gnv2_nas.latency_model.model import fit_latency_model, latency_error, log_ratios, noise_floor
from tests.latency_model.made_up_latencies import REFERENCE_MS, PaperDevice, made_up, networks
from tests.measurement.networks import tiny_ghost, tiny_mobile

DEVICE = PaperDevice()
NOISE = 0.01


@pytest.fixture(scope="module")
def known():
    return networks(120)


@pytest.fixture(scope="module")
def unseen(known):
    seen = {arch.id for arch in known}
    return [arch for arch in networks(300, seed=1) if arch.id not in seen]


@pytest.fixture(scope="module")
def model(known):
    return fit_latency_model(known, DEVICE.measure(known, NOISE), held_out=30)


def test_it_knows_more_than_the_constant_and_than_multiply_adds(model):
    own, constant, macs = model.errors
    assert [each.name for each in model.errors] == ["model", "constant", "multiply-adds alone"]
    assert own.error < 0.5 * macs.error < macs.error < constant.error
    assert own.error < 3 * model.noise_floor
    assert own.tau > macs.tau
    assert constant.tau is None
    assert (model.networks, model.held_out) == (120, 30)


def test_its_held_out_error_is_its_error_on_others(model, unseen):
    predicted = np.array([each.ratio for each in model.predict(unseen)])
    measured = np.array([each.ratio for each in DEVICE.measure(unseen, NOISE, seed=7)])
    error = np.abs(predicted / measured - 1).mean()
    # 30 networks give it to about a quarter; fitted to all 120 it may be better.
    assert 0.6 * model.error.error < error < 1.4 * model.error.error


@pytest.mark.parametrize("seed", range(3))
def test_nineteen_of_twenty_measurements_lie_within_the_error_bars(unseen, seed):
    known = networks(60, seed=10 + seed)
    model = fit_latency_model(known, DEVICE.measure(known, NOISE, seed))
    predictions = model.predict(unseen)
    errors = np.log([each.ratio for each in predictions]) - log_ratios(
        DEVICE.measure(unseen, NOISE, seed=99)
    )
    off = errors / [each.std for each in predictions]
    assert 0.9 < (np.abs(off) < 1.96).mean() < 0.995


def test_milliseconds_are_the_ratio_times_the_reference(model):
    (found,) = model.predict([preset("ghostnetv2-1.0")])
    assert found.ms == pytest.approx(found.ratio * REFERENCE_MS)
    assert found.ratio == pytest.approx(1.0, abs=4 * found.std)


def test_networks_of_another_kind_have_wide_error_bars(model, known):
    typical = np.median([each.std for each in model.predict(known)])
    for other in (tiny_ghost(), tiny_mobile()):
        (found,) = model.predict([other])
        assert found.std > 3 * typical


def test_noise_teaches_nothing(known):
    rng = np.random.default_rng(0)
    measurements = [made_up(arch, float(np.exp(rng.normal(0, 0.1)))) for arch in known]
    own, constant, _ = fit_latency_model(known, measurements).errors
    assert own.error > 0.95 * constant.error


def test_the_noise_floor_is_the_error_of_one_who_knows_the_truth(unseen):
    measurements = DEVICE.measure(unseen, 0.03)
    truth = np.log([DEVICE.ratio(arch) for arch in unseen])
    perfect = latency_error("truth", truth, log_ratios(measurements)).error
    assert noise_floor(measurements) == pytest.approx(perfect, rel=0.12)


def test_rough_measurements_count_for_less(known, unseen):
    rough = DEVICE.measure(known[:60], 0.3)
    fine = DEVICE.measure(known[60:], NOISE)
    told_apart = fit_latency_model(known, rough + fine)
    all_alike = fit_latency_model(
        known, [made_up(arch, m.ratio) for arch, m in zip(known, rough + fine, strict=True)]
    )
    truth = np.log([DEVICE.ratio(arch) for arch in unseen])
    errors = [
        np.abs(np.log([each.ratio for each in model.predict(unseen)]) - truth).mean()
        for model in (told_apart, all_alike)
    ]
    assert errors[0] < 0.6 * errors[1]


def test_held_out_networks_teach_nothing_about_their_error(known):
    measurements = DEVICE.measure(known, NOISE)
    slow = [made_up(arch, 2 * m.ratio) for arch, m in zip(known, measurements, strict=True)]
    changed = fit_latency_model(known, measurements[:90] + slow[90:], held_out=30)
    assert changed.error.error == pytest.approx(0.5, abs=0.05)


def test_too_few_networks_are_refused(known):
    with pytest.raises(InputError, match="at least 8 networks to be fitted to, but got 7"):
        fit_latency_model(known[:10], DEVICE.measure(known[:10]), held_out=3)
