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
from gnv2_nas.search.analysis.recommendation import find_knee, recommend
from gnv2_nas.search.analysis.rivals import find_rivals, find_stock
from gnv2_nas.search.study.records import Trial
from tests.report.studies import candidate, network, stock, study

NOISE = ESTIMATORS["zen"].noise
BOTH: tuple[str, ...] = ("quality", "latency")


def test_the_knee_bends_farthest_from_the_chord() -> None:
    members = [network(1, 100, 1.0), network(2, 95, 0.6), network(3, 80, 0.5)]
    assert find_knee(members, members, BOTH) is members[1]


def test_an_unstable_latency_is_no_knee_while_others_are_trusted() -> None:
    members = [network(1, 100, 1.0), network(2, 95, 0.6, reason="noisy"), network(3, 80, 0.5)]
    assert find_knee(members, members, BOTH) is not members[1]
    assert find_knee([members[1]], members, BOTH) is members[1]


def test_a_front_of_none_or_one() -> None:
    assert find_knee([], [], BOTH) is None
    only = network(1, 100, 1.0)
    assert find_knee([only], [only], ("latency",)) is only


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
    assert compared(small, budgets=()) is small
    other = network(1, 90, 0.27)
    assert latency_ratio(other, small) == pytest.approx(0.9)
    low, high = latency_ratio_interval(other, small)
    assert low == pytest.approx(0.9 * (1 - 0.017), abs=0.002)
    assert high == pytest.approx(0.9 * (1 + 0.017), abs=0.002)


def test_stock_counts_only_with_all_objectives_known() -> None:
    assert compared(stock()) is not None
    assert compared(stock(ratio=None)) is None
    assert compared(stock(ratio=None), objectives=("quality", "macs")) is not None
    assert compared(network(1, 90, 0.9)) is None


def compared(*trials: Trial, **changes: object) -> Trial | None:
    """The stock network that a study of these is compared with."""
    record = study(trials, **changes)  # type: ignore[arg-type]
    return find_stock(record.trials, record.settings)


def published(number: int, name: str, quality: float | None, ratio: float, *budgets: str) -> Trial:
    return candidate(
        number, preset(name), quality=quality, ratio=ratio, baseline=name, budgets=budgets
    )


def test_the_best_stock_network_within_the_budgets_is_compared_with() -> None:
    budgets = ("300MFLOPs",)
    names = ["ghostnetv2-1.0", "ghostnetv2-1.3", "ghostnetv2-1.6"]
    trials = [published(n, name, 90.0 + n, 1.0 + n, *budgets) for n, name in enumerate(names)]
    # 1.6 has 399 million multiply-adds.
    assert compared(*trials, budgets=budgets) is trials[1]
    # Without budgets, the better network is the larger one, so the search must beat the reference.
    assert compared(*trials, budgets=()) is trials[0]


@pytest.mark.parametrize(("ratio", "counts"), [(0.99, True), (1.01, True), (1.02, False)])
def test_a_stock_network_keeps_a_latency_limit_that_its_interval_reaches(
    ratio: float, counts: bool
) -> None:
    # Each interval is ±1.2 %, and the limit is a ratio of 1.
    trial = published(0, "ghostnetv2-1.0", 92, ratio, "7.3ms")
    assert (compared(trial, budgets=("7.3ms",)) is trial) == counts


def test_the_interval_of_an_unstable_latency_is_too_wide_to_keep_a_limit() -> None:
    limit = ("7.3ms",)
    name = "ghostnetv2-1.0"
    wide = candidate(
        0, preset(name), ratio=1.01, half_width=0.3, baseline=name, budgets=limit, reason="noisy"
    )
    assert compared(wide, budgets=limit) is None


def test_rivals_are_the_best_of_each_family() -> None:
    budgets = ("300MFLOPs",)
    trials = [
        published(0, "mobilenetv3-large-0.75", None, 0.8, *budgets),
        published(1, "ghostnet-1.0", 95, 0.8, *budgets),
        published(2, "ghostnetv2-1.0", 92, 1.0, *budgets),
        published(3, "ghostnetv2-1.3", 96, 1.4, *budgets),
        published(4, "ghostnetv2-1.6", 99, 1.9, *budgets),
        published(5, "mobilenetv3-large-1.0", None, 1.2, *budgets),
    ]
    found = find_rivals(study(trials, budgets=budgets))
    assert [each.number for each in found] == [3, 1, 5]


def test_a_study_in_one_answer() -> None:
    record = study([stock(92), network(1, 94, 0.82), network(2, 90, 0.9)])
    found = recommend(record)
    assert [each.number for each in found.front] == [1]
    assert found.recommended is found.best is found.knee is record.trials[1]
    assert found.stock is record.trials[0]
    assert [(each.objective, each.verdict) for each in found.gains] == [
        ("latency", "better"), ("quality", "better"),
    ]  # fmt: skip
    nothing = recommend(study([]))
    assert (nothing.front, nothing.recommended, nothing.gains) == ((), None, ())


def test_the_recommended_network_is_no_worse_than_stock_and_surely_better_where_it_can_be() -> None:
    trials = [
        stock(92), network(1, 99, 1.3), network(2, 95, 0.9), network(3, 92.1, 0.6),
        network(4, 85, 0.3),
    ]  # fmt: skip
    found = recommend(study(trials))
    # 3 is the knee of the front and of what beats stock, but its score may be noise.
    assert found.knee is trials[3]
    assert found.recommended is trials[2]
    assert found.best is trials[1]
    # Among equally certain ones, the best compromise counts.
    trials[3] = network(3, 93, 0.6)
    assert recommend(study(trials)).recommended is trials[3]


@pytest.mark.parametrize("budgets", [("300MFLOPs",), ()])
def test_where_nothing_beats_stock_a_budget_is_used_up(budgets: tuple[str, ...]) -> None:
    trials = [stock(92), network(1, 97, 1.3), network(2, 90, 0.6), network(3, 70, 0.5)]
    found = recommend(study(trials, budgets=budgets))
    assert found.recommended is (trials[1] if budgets else trials[2])
    assert found.best is (trials[1] if budgets else None)


def test_without_a_stock_network_within_the_budgets_the_best_is_taken() -> None:
    budgets = ("100MFLOPs",)
    trials = [stock(92, budgets=budgets), network(1, 80, 0.7), network(2, 79, 0.3)]
    found = recommend(study(trials, budgets=budgets))
    assert found.stock is None
    assert found.recommended is trials[1]
    assert found.gains == ()
