"""The recommended network, and what a front gains over stock."""

from __future__ import annotations

import math

import msgspec
import pytest

from gnv2_nas.arch import preset
from gnv2_nas.measurement.records.record import ErrorParts
from gnv2_nas.quality import ESTIMATORS
from gnv2_nas.search.analysis.baselines import latency_ratio, latency_ratio_interval
from gnv2_nas.search.analysis.gains import find_gain
from gnv2_nas.search.analysis.recommendation import (
    find_stock,
    pick_recommended,
    recommend,
)
from gnv2_nas.search.study.records import Trial
from tests.report.studies import candidate, network, stock, study

NOISE = ESTIMATORS["zen"].noise
BOTH: tuple[str, ...] = ("quality", "latency")


def test_the_knee_bends_farthest_from_the_chord() -> None:
    members = [network(1, 100, 1.0), network(2, 95, 0.6), network(3, 80, 0.5)]
    assert pick_recommended(members, BOTH) is members[1]


def test_an_unstable_latency_is_no_knee_while_others_are_trusted() -> None:
    members = [network(1, 100, 1.0), network(2, 95, 0.6, reason="noisy"), network(3, 80, 0.5)]
    assert pick_recommended(members, BOTH) is not members[1]
    assert pick_recommended([members[1]], BOTH) is members[1]


def test_a_front_of_none_or_one() -> None:
    assert pick_recommended([], BOTH) is None
    assert pick_recommended([only := network(1, 100, 1.0)], ("latency",)) is only


def test_the_fastest_of_those_no_worse_in_score() -> None:
    members = [network(1, 95, 0.9), network(2, 93, 0.8), network(3, 90, 0.5)]
    found = find_gain(members, stock(92), BOTH, "latency", NOISE)
    assert found.trial is members[1]
    assert found.verdict == "better"


def test_the_best_score_of_those_no_slower() -> None:
    members = [network(1, 99, 1.2), network(2, 95, 0.9), network(3, 93, 0.8)]
    found = find_gain(members, stock(92), BOTH, "quality", NOISE)
    assert found.trial is members[1]
    assert found.verdict == "better"


@pytest.mark.parametrize(
    ("ratio", "half_width", "verdict"),
    [(0.9, 0.01, "better"), (0.99, 0.02, "unclear"), (1.01, 0.02, "unclear"), (1.1, 0.01, "none")],
)
def test_an_interval_that_holds_one_decides_nothing(
    ratio: float, half_width: float, verdict: str
) -> None:
    members = [network(1, 95, ratio, half_width=half_width)]
    assert find_gain(members, stock(92), BOTH, "latency", NOISE).verdict == verdict


@pytest.mark.parametrize(("quality", "verdict"), [(95, "better"), (92.1, "unclear"), (92, "none")])
def test_a_score_within_its_noise_decides_nothing(quality: float, verdict: str) -> None:
    found = find_gain([network(1, quality, 0.9)], stock(92), BOTH, "quality", NOISE)
    assert found.verdict == verdict


def test_certainty_goes_before_a_lucky_estimate() -> None:
    members = [network(1, 95, 0.90, half_width=0.2), network(2, 95, 0.95, half_width=0.01)]
    assert find_gain(members, stock(92), BOTH, "latency", NOISE).trial is members[1]


def test_another_stock_network_is_not_a_find() -> None:
    other = candidate(1, preset("ghostnet-1.0"), quality=95, ratio=0.7, baseline="ghostnet-1.0")
    found = find_gain([other], stock(92), BOTH, "latency", NOISE)
    assert found.trial is None
    assert found.verdict == "none"


def test_the_published_network_is_what_ratios_refer_to() -> None:
    reference, other = stock(ratio=1.003), network(1, 90, 0.9)
    assert latency_ratio(other, reference) == 0.9
    low, high = latency_ratio_interval(other, reference)
    # ±1.2 %, as it was measured.
    assert low == pytest.approx(0.9 * (1 - 0.012), abs=0.002)
    assert high == pytest.approx(0.9 * (1 + 0.012), abs=0.002)


def test_in_the_same_rounds_what_both_share_is_no_error() -> None:
    def measured(one: Trial, batch: str, calibration: float) -> Trial:
        assert one.latency is not None
        errors = ErrorParts(own=0.002, own_sessions=0.003, panel=0.02, calibration=calibration)
        low, high = (one.latency.ratio * math.exp(side * 0.2) for side in (-1, 1))
        return one.with_latency(
            msgspec.structs.replace(one.latency, errors=errors, ratio_ci95=(low, high), batch=batch)
        )

    other = measured(network(1, 90, 0.9), "last", 0.05)
    together, apart = (measured(stock(ratio=1.02), batch, 0.0) for batch in ("last", "first"))
    assert latency_ratio(other, together) == pytest.approx(0.9 / 1.02)
    assert latency_ratio(other, apart) == 0.9
    low, high = latency_ratio_interval(other, together)
    assert math.log(high / low) / 2 == pytest.approx(1.96 * math.hypot(0.002, 0.003) * 2**0.5)
    low, high = latency_ratio_interval(other, apart)
    assert math.log(high / low) / 2 == pytest.approx(0.2)


def test_a_stock_network_of_another_size_is_divided_out() -> None:
    arch = preset("ghostnetv2-1.0").replace(resolution=96)
    small = candidate(0, arch, ratio=0.3, baseline="ghostnetv2-1.0 at 96 px")
    assert find_stock(study([small])) is not None
    other = network(1, 90, 0.27)
    assert latency_ratio(other, small) == pytest.approx(0.9)
    low, high = latency_ratio_interval(other, small)
    assert low == pytest.approx(0.9 * (1 - 0.017), abs=0.002)
    assert high == pytest.approx(0.9 * (1 + 0.017), abs=0.002)


def test_stock_counts_only_with_all_objectives_known() -> None:
    assert find_stock(study([stock()])) is not None
    assert find_stock(study([stock(ratio=None)])) is None
    assert find_stock(study([stock(ratio=None)], objectives=("quality", "macs"))) is not None
    assert find_stock(study([network(1, 90, 0.9)])) is None


def test_a_study_in_one_answer() -> None:
    record = study([stock(92), network(1, 94, 0.82), network(2, 90, 0.9)])
    found = recommend(record)
    assert [each.number for each in found.front] == [1]
    assert found.recommended is record.trials[1]
    assert found.stock is record.trials[0]
    assert [(each.objective, each.verdict) for each in found.gains] == [
        ("latency", "better"), ("quality", "better"),
    ]  # fmt: skip
    nothing = recommend(study([]))
    assert (nothing.front, nothing.recommended, nothing.gains) == ((), None, ())
