"""The contract of quality estimators: what a search may rely on whatever it maximises."""

from __future__ import annotations

import json
import math
import subprocess
import sys

import pytest
import torch
from hypothesis import HealthCheck, example, given, settings

from gnv2_nas.arch import Architecture, MobileBlock, preset
from gnv2_nas.errors import UnknownNameError
from gnv2_nas.quality import ESTIMATORS, check_estimator, get_estimator
from gnv2_nas.search import defaults
from tests.strategies import architectures

SMALL = {
    name: preset(name).replace(resolution=32, num_classes=10)
    for name in ("ghostnetv2-1.0", "mobilenetv3-large-0.75")
}
SHUT = Architecture(
    blocks=(MobileBlock(1, 1, kernel=1, stride=2),),
    stem_channels=1, conv_channels=1, head_channels=1, resolution=17, num_classes=1,
)  # fmt: skip
"""With the weights of seed 0 no rectifier lets anything through."""
SCORE = """
import sys, json
from gnv2_nas.arch import Architecture
from gnv2_nas.quality import get_estimator
estimator = get_estimator(sys.argv[1])
arches = [Architecture.from_json(text) for text in json.loads(sys.argv[2])]
print(json.dumps([estimator.score(arch) for arch in arches]))
"""


def test_it_is_found_by_its_name(estimator):
    assert get_estimator(estimator.info.name).info == estimator.info
    assert check_estimator(estimator.info.name) == estimator.info


def test_the_label_says_that_it_is_no_accuracy(estimator):
    assert not estimator.info.is_accuracy
    assert "not an accuracy" in estimator.info.note


@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(arch=architectures(max_blocks=2))
@example(arch=SHUT)
def test_any_network_has_a_finite_score(estimator, arch):
    score = estimator.score(arch)
    assert isinstance(score, float)
    assert math.isfinite(score)


def test_the_same_network_has_the_same_score_in_every_process(estimator):
    texts = json.dumps([arch.to_json() for arch in SMALL.values()])
    fresh = subprocess.run(
        [sys.executable, "-c", SCORE, estimator.info.name, texts],
        capture_output=True, text=True, check=True, timeout=120,
    )  # fmt: skip
    # In another order, and after one another, too.
    here = [get_estimator(estimator.info.name).score(arch) for arch in reversed(SMALL.values())]
    assert here[::-1] == pytest.approx(json.loads(fresh.stdout), rel=1e-6)


def test_random_numbers_of_others_neither_count_nor_change(estimator):
    arch = SMALL["ghostnetv2-1.0"]
    torch.manual_seed(1)
    before = torch.get_rng_state()
    one = estimator.score(arch)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    assert estimator.score(arch) == one


def test_scoring_leaves_gradients_as_they_were(estimator):
    assert torch.is_grad_enabled()
    estimator.score(SMALL["ghostnetv2-1.0"])
    assert torch.is_grad_enabled()


def test_genes_without_effect_do_not_count(estimator):
    arch = SMALL["ghostnetv2-1.0"]
    text = arch.to_json()
    late = text.rindex('"kernel_h":')
    # On a map of one pixel a kernel of 31 is one of 1.
    other = Architecture.from_json(text[:late] + '"kernel_h":31' + text[text.index(",", late) :])
    assert estimator.score(other) == estimator.score(arch)


@pytest.mark.parametrize("name", ["", "Zen", "accuracy"])
def test_an_unknown_estimator_is_answered_with_the_known_ones(name):
    with pytest.raises(UnknownNameError, match=f"unknown quality estimator '{name}'.*params, zen"):
        get_estimator(name)


def test_the_default_is_one_of_them():
    assert defaults.QUALITY in ESTIMATORS


def test_the_baseline_counts_millions_of_parameters():
    assert get_estimator("params").score(preset("ghostnetv2-1.0")) == 6.156908
