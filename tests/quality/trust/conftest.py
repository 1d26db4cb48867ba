"""A check of forty networks of `tiny`, and two panels of it."""

from __future__ import annotations

import math

import pytest

from gnv2_nas.data import load_dataset
from gnv2_nas.quality.trust.check import TrustPlan
from gnv2_nas.quality.trust.networks import sample_networks
from gnv2_nas.space import load_space
from tests.quality.trust.panels import NETWORKS, RECIPE, panel_of


@pytest.fixture(scope="module")
def space():
    return load_space("tiny")


@pytest.fixture(scope="module")
def plan(space):
    drawn = sample_networks(space, NETWORKS, seed=1)
    return TrustPlan(space, load_dataset("digits", 32), drawn, RECIPE, seeds=2)


@pytest.fixture(scope="module")
def by_macs(plan):
    """Accuracy is what multiply-adds say, and a little luck."""
    return panel_of(plan, lambda each, seed: 50 + math.log2(each.counts.macs) + 0.01 * seed)


@pytest.fixture(scope="module")
def by_params(plan):
    return panel_of(plan, lambda each, seed: 50 + math.log2(each.counts.params) + 0.01 * seed)
