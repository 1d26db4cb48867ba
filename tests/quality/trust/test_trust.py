"""The trust panel: what is drawn, what is kept, and what it says about each score."""

from __future__ import annotations

import json
import random
from statistics import median

import msgspec
import pytest

from gnv2_nas.errors import BudgetError, InputError
from gnv2_nas.graph import count
from gnv2_nas.quality.accuracy.trained import AccuracyJournal
from gnv2_nas.quality.trust.check import TrustPlan
from gnv2_nas.quality.trust.networks import (
    BAND,
    parse_band_budget,
    sample_correlated,
    sample_networks,
)
from gnv2_nas.quality.trust.panel import (
    BETTER,
    CANNOT_TELL,
    NOT_BETTER,
    verdict,
)
from gnv2_nas.report.trust_table import trust_caption, trust_rows
from gnv2_nas.stats.rank_agreement import RankAgreement
from tests.quality.trust.panels import NETWORKS, RECIPE, panel_of
from tests.search.spaces import SIX, space_of


def test_half_of_the_networks_are_inside_the_budget_band(space):
    drawn = sample_networks(space, 9, budget=4e6)
    assert drawn.band == pytest.approx((3.4e6, 4.6e6))
    assert len({each.architecture.id for each in drawn.networks}) == 9
    for each in drawn.networks:
        macs = count(each.architecture).macs
        assert each.counts.macs == macs
        assert each.in_band == (drawn.band[0] <= macs <= drawn.band[1])
    assert sum(each.in_band for each in drawn.networks) >= 5
    assert drawn == sample_networks(space, 9, budget=4e6)
    assert drawn != sample_networks(space, 9, budget=4e6, seed=1)


def test_without_a_budget_the_band_is_around_the_median(space):
    low, high = sample_networks(space, 2).band
    assert high / low == pytest.approx((1 + BAND) / (1 - BAND))
    rng = random.Random(3)
    assert low < median(count(space.sample(rng)).macs for _ in range(400)) < high


def test_networks_lean_to_one_side_as_those_that_a_search_ends_at(space):
    """Of genes that are each drawn for themselves, one in a thousand networks is like that."""
    rng = random.Random(0)
    genotypes = [sample_correlated(space, rng) for _ in range(100)]
    placements = [
        [value for name, value in params.items() if name.startswith("placement")]
        for params in genotypes
    ]
    leaning = [max(map(values.count, values)) > 0.7 * len(values) for values in placements]
    assert 20 < sum(leaning) < 60
    for gene in space.genes:
        assert {params[gene.name] for params in genotypes} == set(gene.choices)


def test_a_budget_that_the_space_does_not_have(space):
    with pytest.raises(InputError, match=r"no network of space 'tiny' .* it goes from .* MFLOPs"):
        sample_networks(space, 4, budget=9e9)


def test_more_networks_than_the_band_has(tmp_path):
    space = space_of(tmp_path, SIX)
    with pytest.raises(InputError, match=r"only \d of 10000 random networks .* fewer --networks"):
        sample_networks(space, 7)


def test_budgets_are_of_multiply_adds():
    assert parse_band_budget("4MFLOPs") == 4e6
    assert parse_band_budget("") is None
    with pytest.raises(InputError, match="multiply-adds"):
        parse_band_budget("4ms")
    with pytest.raises(BudgetError):
        parse_band_budget("four")


def test_one_network_cannot_be_ordered(space):
    with pytest.raises(InputError, match="--networks must be 2 or more, but got 1"):
        sample_networks(space, 1)


def test_a_score_that_orders_networks_right_is_told_from_one_that_does_not(by_macs):
    macs, params = by_macs.of("macs"), by_macs.of("params")
    assert macs.overall.tau == macs.band.tau == 1
    assert macs.overall.networks == NETWORKS > macs.band.networks >= NETWORKS / 2
    assert params.band.tau < 0.9
    assert verdict(macs) == BETTER
    assert by_macs.best_data_free() == "macs"
    assert "beats the parameter count" in by_macs.data_free_sentence()
    assert by_macs.sentence("macs") == (
        f"in band τ {macs.band}; parameters {params.band}: better than the parameter count"
    )


def test_where_nothing_beats_the_parameter_count_that_is_said(by_params):
    assert verdict(by_params.of("macs")) == NOT_BETTER
    assert by_params.best_data_free() == "params"
    assert by_params.data_free_sentence() == (
        "no data-free score beats the parameter count inside the budget band"
    )
    assert by_params.sentence("macs").endswith(": not better than the parameter count")
    assert by_params.sentence("params") == f"in band τ {by_params.of('params').band}"


@pytest.mark.parametrize(
    ("tau", "low", "high", "said"),
    [(0.3, 0.1, 0.5, BETTER), (0.3, -0.1, 0.7, CANNOT_TELL), (-0.1, -0.5, 0.3, CANNOT_TELL),
     (0.0, -0.2, 0.2, CANNOT_TELL), (-0.3, -0.5, 0.0, NOT_BETTER), (-0.3, -0.5, -0.1, NOT_BETTER)],
)  # fmt: skip
def test_a_verdict_is_what_the_whole_interval_says(by_macs, tau, low, high, said):
    gain = RankAgreement(tau, low, high, 12)
    assert verdict(msgspec.structs.replace(by_macs.of("macs"), gain_band=gain)) == said


def test_a_tau_in_band_is_not_judged_by_the_gain_over_the_whole_space(by_macs):
    known = msgspec.structs.replace(by_macs.of("macs"), gain_band=None)
    assert known.band is not None
    assert verdict(known) == CANNOT_TELL
    assert verdict(msgspec.structs.replace(known, band=None)) == BETTER


def test_luck_is_not_taken_for_an_answer(plan):
    """Accuracies that nothing explains: whatever is ahead is so by chance."""
    panel = panel_of(plan, lambda each, _: 50 + int(each.architecture.id, 16) % 1000 / 100)
    assert verdict(panel.of("macs")) in (CANNOT_TELL, NOT_BETTER)
    macs = panel.of("macs").overall
    assert macs.low < 0 < macs.high


def test_the_ceiling_is_what_two_trainings_agree_on(plan, by_macs):
    assert by_macs.ceiling.tau == 1
    lucky = panel_of(plan, lambda each, seed: 50 + int(each.architecture.id, 16) // 7**seed % 97)
    assert lucky.ceiling.tau < 0.6
    assert lucky.ceiling_band.networks == sum(each.in_band for each in lucky.networks)


def test_an_estimator_that_was_not_checked_has_nothing_to_show(by_macs):
    assert by_macs.of("zen") is None
    assert by_macs.sentence("zen") == "not checked on space tiny: gnv2-nas quality check"


def test_a_file_counts_by_its_name_wherever_it_lies(by_macs):
    known = msgspec.structs.replace(by_macs.of("macs"), spec="supernet:here/one.safetensors")
    panel = msgspec.structs.replace(by_macs, estimators=(known,))
    assert panel.of("supernet:one.safetensors") is known
    assert panel.of("supernet:two.safetensors") is None
    assert panel.of("supernet") is None


def test_of_another_file_of_the_same_name_nothing_is_known(by_macs):
    known = msgspec.structs.replace(
        by_macs.of("macs"), spec="supernet:one.safetensors", file_hash="abc"
    )
    panel = msgspec.structs.replace(by_macs, estimators=(by_macs.of("params"), known))
    assert panel.for_file(known.spec, "abc") == panel
    other = panel.for_file(known.spec, "def")
    assert other.of(known.spec) is None
    assert other.of("params") == panel.of("params")
    assert panel.for_file("params", "") == panel


def test_rows_for_people_name_every_score_and_the_ceiling(by_macs):
    rows = trust_rows(by_macs)
    assert [row.score for row in rows] == [
        "MAC score (not an accuracy)", "Parameter score (not an accuracy)", "a second training",
    ]  # fmt: skip
    assert rows[1].verdict == "the baseline"
    assert rows[0].band == str(by_macs.of("macs").band)
    assert f"{NETWORKS} networks of space tiny" in trust_caption(by_macs)
    assert "10 steps of 32 images" in trust_caption(by_macs)


def test_too_few_networks_in_band_are_no_evidence(space, plan):
    few = msgspec.structs.replace(plan.drawn, networks=plan.drawn.networks[:3])
    panel = panel_of(
        TrustPlan(space, plan.dataset, few, RECIPE, seeds=1), lambda each, _: each.counts.macs
    )
    assert panel.of("macs").overall is None
    assert panel.ceiling is None
    assert panel.sentence("macs") == "too few networks to tell"
    assert trust_rows(panel)[0].overall == "too few"


def test_a_journal_remembers_what_was_trained_under_the_same_conditions(plan, tmp_path):
    arch, other = (each.architecture for each in plan.drawn.networks[:2])
    path = tmp_path / "new" / "tiny.trust.jsonl"
    journal = AccuracyJournal(path, "data", "recipe")
    assert journal.find(arch, 0) is None
    kept = journal.add(arch, 0, 71.5, 12.0)
    assert (kept.accuracy, kept.seconds) == (71.5, 12.0)
    again = AccuracyJournal(path, "data", "recipe")
    assert again.find(arch, 0) == kept
    assert again.find(arch, 1) is again.find(other, 0) is None
    assert AccuracyJournal(path, "data", "another recipe").find(arch, 0) is None


def test_a_line_that_was_cut_short_costs_only_itself(plan, tmp_path):
    first, second, third = (each.architecture for each in plan.drawn.networks[:3])
    path = tmp_path / "tiny.trust.jsonl"
    journal = AccuracyJournal(path, "data")
    journal.add(first, 0, 70.0, 1.0)
    journal.add(second, 0, 71.0, 1.0)
    path.write_bytes(path.read_bytes()[:-9])
    after = AccuracyJournal(path, "data")
    assert after.find(first, 0).accuracy == 70
    assert after.find(second, 0) is None
    after.add(third, 0, 72.0, 1.0)
    assert AccuracyJournal(path, "data").find(third, 0).accuracy == 72
    assert len(path.read_text().splitlines()) == 3
    assert json.loads(path.read_text().splitlines()[2])["network"] == third.id
