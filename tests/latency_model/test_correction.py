"""A latency model carried over to another device with few networks."""

from __future__ import annotations

import numpy as np
import pytest

from gnv2_nas.errors import InputError, MeasurementError
from gnv2_nas.latency_model.correction import correct_latency_model
from gnv2_nas.latency_model.model import fit_latency_model, log_ratios
from tests.latency_model.made_up_latencies import PaperDevice, made_up, networks

PHONE = PaperDevice(depthwise_macs_per_ns=1.5, bytes_per_ns=6, start_ns=10000, copies=3)


@pytest.fixture(scope="module")
def base():
    known = networks(120)
    return fit_latency_model(known, PaperDevice().measure(known))


@pytest.fixture(scope="module")
def few():
    return networks(20, seed=3)


@pytest.fixture(scope="module")
def corrected(base, few):
    return correct_latency_model(base, few, PHONE.measure(few, seed=3))


def test_it_is_better_than_the_first_device_s_model_and_than_the_constant(corrected):
    own, without, constant, macs = corrected.errors
    assert own.error < without.error
    assert own.error < 0.5 * constant.error
    assert (without.name, macs.name) == ("without correction", "multiply-adds alone")
    assert (corrected.networks, corrected.held_out) == (20, 20)


def test_it_predicts_networks_that_were_in_neither_fit(base, corrected):
    unseen = networks(150, seed=8)
    truth = log_ratios(PHONE.measure(unseen, seed=8))
    off = {
        name: np.log([each.ratio for each in model.predict(unseen)]) - truth
        for name, model in (("corrected", corrected), ("base", base))
    }
    assert np.abs(off["corrected"]).mean() < 0.7 * np.abs(off["base"]).mean()
    bars = np.array([each.std for each in corrected.predict(unseen)])
    assert (np.abs(off["corrected"]) < 1.96 * bars).mean() > 0.85


def test_a_correction_that_does_not_help_is_refused_with_the_figures(base, few):
    rng = np.random.default_rng(0)
    noise = [made_up(arch, float(np.exp(rng.normal(0, 0.2)))) for arch in few]
    with pytest.raises(MeasurementError, match=r"refused: .* \d+\.\d% off, .* \d+\.\d%, .*--from"):
        correct_latency_model(base, few, noise)


def test_a_corrected_model_is_corrected_anew(base, corrected, few):
    measurements = PHONE.measure(few, seed=3)
    assert correct_latency_model(corrected, few, measurements).errors == corrected.errors


def test_too_few_networks_are_refused(base, few):
    with pytest.raises(InputError, match="but got 7"):
        correct_latency_model(base, few[:7], PHONE.measure(few[:7]))
