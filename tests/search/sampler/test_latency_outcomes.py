"""What the models of a search know of latencies after a few networks."""

from __future__ import annotations

import random

import numpy as np
import pytest

from gnv2_nas.graph import lower
from gnv2_nas.search.sampler.encoders import GraphEncoder
from gnv2_nas.search.sampler.models import OutcomeModels
from gnv2_nas.space import load_space
from tests.latency_model.made_up_latencies import PaperDevice

KNOWN, ASKED, ELSEWHERE, NOISE = 24, 40, 40, 0.01


@pytest.fixture(scope="module")
def networks():
    """Encoder, networks drawn at random, and their features."""
    space, rng = load_space("ghostnetv2"), random.Random(3)
    params = [
        {gene.name: rng.choice(gene.choices) for gene in space.genes}
        for _ in range(KNOWN + ASKED + 40)
    ]
    encoder = GraphEncoder(space, (), ("latency",), set())
    return encoder, [space.decode(each) for each in params], encoder.encode(params).features


def error(networks, latencies, elsewhere=()):
    """Of the latencies, and of their excess over a budget, as the models predict them.

    `elsewhere` are latencies of the last networks, which other studies measured.
    """
    encoder, _, features = networks
    rng = np.random.default_rng(0)
    measured = latencies * np.exp(NOISE * rng.standard_normal(len(latencies)))
    middle = np.median(measured)
    outcomes = np.column_stack([measured, measured / middle - 1])
    others = np.reshape(elsewhere, (-1, 1))
    models = OutcomeModels(encoder.feature_sets)
    models.fit(
        features[:KNOWN], outcomes[:KNOWN], np.array([0.0, 1.0]),
        features[KNOWN + ASKED:][:len(others)], np.hstack([others, others / middle - 1]),
    )  # fmt: skip
    asked = slice(KNOWN, KNOWN + ASKED)
    predicted = models.mean(features[asked])
    predicted[:, 1] = (1 + predicted[:, 1]) * middle
    return abs(predicted / latencies[asked, None] - 1).mean(axis=0)


def test_a_sum_over_operators_is_known_after_two_dozen_networks(networks):
    device = PaperDevice(macs_per_ns=60, depthwise_macs_per_ns=3, bytes_per_ns=9)
    latencies = np.array([device.ratio(each) for each in networks[1]])
    # With a variance for each kind of work, but no theoretical cost: 4.2 %.
    assert error(networks, latencies).max() < 0.03


def test_a_device_that_theory_is_wrong_about_is_learned_from_its_outcomes(networks):
    # Only the number of operators counts.
    latencies = np.array([float(len(lower(each).ops)) for each in networks[1]])
    assert error(networks, latencies).max() < 0.04


def test_latencies_of_other_studies_help_and_wrong_ones_are_outvoted(networks):
    device, other = PaperDevice(), PaperDevice(5, 40, 2, 9000, 0)
    latencies, wrong = (
        np.array([each.ratio(network) for network in networks[1]]) for each in (device, other)
    )
    constant = np.linspace(0.99, 1.01, len(latencies))
    alone, helped, *misled = (
        error(networks, latencies, elsewhere)[0]
        for elsewhere in ((), *(each[-ELSEWHERE:] for each in (latencies, wrong, constant)))
    )
    assert helped < 0.9 * alone
    assert max(misled) < 1.05 * alone
