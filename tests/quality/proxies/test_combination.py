"""Combinations of scores: units do not matter, and nothing is lost beyond the random networks."""

from __future__ import annotations

import random
from statistics import median

import msgspec
import pytest

from gnv2_nas.arch import Architecture, preset
from gnv2_nas.quality import ESTIMATORS, QualityContext, QualityEstimator, get_estimator
from gnv2_nas.quality.proxies.combination import REFERENCE_NETWORKS, Combination
from gnv2_nas.space import load_space

TINY = load_space("tiny")
INFO = ESTIMATORS["naswot+params"]


class Scaled:
    """A score in another unit that counts how often it is asked."""

    def __init__(self, score: QualityEstimator, factor: float, name: str) -> None:
        self.info = msgspec.structs.replace(score.info, name=name)
        self.calls = 0
        self._score, self._factor = score, factor

    def score(self, arch: Architecture) -> float:
        self.calls += 1
        return self._factor * self._score.score(arch) + 7


def networks(count: int = 5) -> list[Architecture]:
    rng = random.Random(1)
    return [TINY.sample(rng) for _ in range(count)]


def test_the_units_of_the_parts_do_not_matter():
    params, macs = get_estimator("params"), get_estimator("macs")
    plain = Combination(INFO, [params, macs], TINY)
    other = Combination(INFO, [Scaled(params, 1e6, "in units"), macs], TINY)
    assert [other.score(arch) for arch in networks()] == pytest.approx(
        [plain.score(arch) for arch in networks()]
    )


def test_both_parts_count():
    params, macs = get_estimator("params"), get_estimator("macs")
    both = Combination(INFO, [params, macs], TINY)
    alone = [Combination(INFO, [part], TINY) for part in (params, macs)]
    for arch in networks():
        assert both.score(arch) == pytest.approx(sum(one.score(arch) for one in alone) / 2)


def test_the_middle_of_the_space_is_0_and_networks_beyond_it_still_differ():
    params = Combination(INFO, [get_estimator("params")], TINY)
    scores = [params.score(arch) for arch in networks(40)]
    assert abs(median(scores)) < 0.5
    large, larger = (params.score(preset(f"ghostnetv2-{width}")) for width in ("1.3", "1.6"))
    assert max(scores) < large < larger - 1


def test_the_random_networks_are_scored_once():
    counted = Scaled(get_estimator("params"), 1.0, "counted")
    for _ in range(2):
        Combination(INFO, [counted], TINY).score(networks(1)[0])
    assert counted.calls == REFERENCE_NETWORKS + 2


def test_it_is_made_of_the_parts_that_its_name_says():
    for name, info in ESTIMATORS.items():
        assert info.parts == (tuple(name.split("+")) if "+" in name else ())
    found = get_estimator("naswot+params", QualityContext(TINY))
    assert isinstance(found, Combination)
    assert found.space == TINY
