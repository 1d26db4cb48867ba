"""Networks one change away, which of them are evaluated, and what they then tell."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from msgspec.structs import replace

from gnv2_nas.graph import count
from gnv2_nas.measurement.records.record import ErrorParts
from gnv2_nas.search.analysis.ablation import (
    find_ablations,
    find_single_change,
    latency_difference,
    quality_difference,
)
from gnv2_nas.search.analysis.variants import Variant, choose_variants, list_variants
from gnv2_nas.search.study.budgets import parse_budgets
from gnv2_nas.search.study.records import Trial
from gnv2_nas.space import SearchSpace, load_space
from tests.report.studies import STOCK_MS, candidate, found_architecture, study
from tests.search.spaces import CROOKED, SMALL, space_of

BUILT_IN = load_space("ghostnetv2")
SPACES = [SMALL, *CROOKED.values()]


def centre_changes(space: SearchSpace = BUILT_IN) -> list[Variant]:
    return list_variants(space, space.centre())


@pytest.mark.parametrize("text", SPACES)
def test_each_neighbour_is_another_network_and_comes_once(text: str, tmp_path: Path) -> None:
    space = space_of(tmp_path, text)
    for seed in range(5):
        params = space.sample_params(random.Random(seed))
        changes = list_variants(space, params)
        networks = [space.decode(params), *(one.architecture for one in changes)]
        assert len(set(networks)) == len(networks)
        assert [space.decode(one.params) for one in changes] == networks[1:]
        assert len({one.text for one in changes}) == len(changes)


@pytest.mark.parametrize("text", SPACES)
def test_no_network_that_one_gene_makes_is_missing(text: str, tmp_path: Path) -> None:
    space = space_of(tmp_path, text)
    params = space.centre()
    found = {one.architecture for one in list_variants(space, params)}
    for gene in space.genes:
        made = {space.decode({**params, gene.name: choice}) for choice in gene.choices}
        assert made <= found | {space.decode(params)}


def test_genes_without_effect_give_no_change() -> None:
    """Without DFC in a stage its kernels and factors are dead."""
    plain = BUILT_IN.centre() | {
        gene.name: "none" for gene in BUILT_IN.genes if gene.axis == "placement"
    }
    axes = {one.axis for one in list_variants(BUILT_IN, plain)}
    assert axes == {"width", "divisor", "expansion", "placement", "ghost"}


def test_a_part_can_be_left_out_of_a_whole_stage() -> None:
    texts = [one.text for one in centre_changes()]
    assert "DFC in blocks 11, 12, 13, 14, 15: removed" in texts
    assert "DFC in block 12: first → none" in texts


def test_axes_and_stages_take_turns() -> None:
    chosen = choose_variants(centre_changes(), 12, random.Random(0))
    axes = [one.axis for one in chosen]
    assert set(axes[:8]) == {gene.axis for gene in BUILT_IN.genes}
    for axis in ("expansion", "placement"):
        stages = [one.stage for one in chosen if one.axis == axis]
        assert len(set(stages)) == len(stages) >= 2


def test_parts_left_out_of_a_stage_and_small_steps_come_first() -> None:
    chosen = choose_variants(centre_changes(), 7, random.Random(0))
    (placement,) = (one for one in chosen if one.axis == "placement")
    (expansion,) = (one for one in chosen if one.axis == "expansion")
    assert placement.text.endswith("removed")
    assert expansion.steps == 1


def test_choosing_keeps_budgets_and_limit_and_repeats() -> None:
    changes = centre_changes()
    here = count(BUILT_IN.decode(BUILT_IN.centre())).macs
    budgets = parse_budgets([f"{here / 1e6:.3f}MFLOPs"])
    chosen = choose_variants(changes, 20, random.Random(3), budgets)
    assert len(chosen) == 20
    assert all(count(one.architecture).macs <= here * 1.001 for one in chosen)
    assert chosen == choose_variants(changes, 20, random.Random(3), budgets)
    everything = choose_variants(changes, 1000, random.Random(0))
    assert sorted(one.text for one in everything) == sorted(one.text for one in changes)


def measured(number: int, placement: str, ratio: float, **changes: object) -> Trial:
    made = candidate(number, found_architecture(number), ratio=ratio, quality=90.0 + number)
    params = {"width": 1.0, "placement.stage4": placement, "placement.stage5": "first"}
    return replace(made, params=params, **changes)


def test_what_differs_in_one_thing_is_found() -> None:
    base = measured(0, "both", 1.0)
    assert find_single_change(base, measured(1, "none", 0.9)) == {
        "placement.stage4": ("both", "none")
    }
    left_out = replace(
        measured(2, "none", 0.9),
        params={"width": 1.0, "placement.stage4": "none", "placement.stage5": "none"},
    )
    assert find_single_change(base, left_out) is not None
    assert find_single_change(left_out, base) is None
    narrower = replace(base, params={**left_out.params, "width": 0.9}, number=3)
    assert find_single_change(base, narrower) is None
    stock = replace(base, params={})
    assert find_single_change(stock, stock) is None


def with_errors(one: Trial, errors: ErrorParts, batch: str = "b") -> Trial:
    assert one.latency is not None
    return one.with_latency(replace(one.latency, errors=errors, batch=batch))


def test_a_latency_effect_has_the_interval_of_shared_rounds() -> None:
    errors = ErrorParts(own=0.002, own_sessions=0.003, panel=0.05)
    base, changed = (
        with_errors(measured(n, place, ratio), errors)
        for n, (place, ratio) in enumerate([("both", 1.0), ("none", 0.9)])
    )
    effect = latency_difference(base, changed)
    assert effect is not None
    assert effect.value == pytest.approx(-0.1 * STOCK_MS)
    assert effect.half_width == pytest.approx(0.9 * 1.96 * 2**0.5 * 0.0036 * STOCK_MS, rel=0.01)
    assert effect.certain
    apart = latency_difference(base, with_errors(changed, errors, batch="another"))
    assert apart is not None
    assert not apart.certain


def test_without_its_parts_the_whole_interval_counts() -> None:
    effect = latency_difference(measured(0, "both", 1.0), measured(1, "none", 0.99))
    assert effect is not None
    assert effect.half_width == pytest.approx(0.012 * 2**0.5 * 0.99 * STOCK_MS, rel=0.01)
    assert not effect.certain


def test_latencies_of_two_devices_have_no_difference() -> None:
    base, other = measured(0, "both", 1.0), measured(1, "none", 0.9)
    assert other.latency is not None
    elsewhere = other.with_latency(replace(other.latency, threads=4))
    assert latency_difference(base, elsewhere) is None
    assert latency_difference(base, replace(other, latencies={})) is None


def test_differences_in_quality_up_to_the_noise_are_luck() -> None:
    base, other = measured(0, "both", 1.0), measured(1, "none", 0.9)
    known = [quality_difference(base, other, noise) for noise in (0.0, 0.9, 1.1)]
    assert [effect is not None and effect.certain for effect in known] == [True, True, False]


def test_the_changes_of_a_study_are_those_of_the_network_they_were_made_of() -> None:
    base = measured(5, "both", 1.0)
    without = measured(7, "none", 0.8, origin="change")
    fewer = measured(8, "first", 0.9, origin="change")
    narrow = replace(
        measured(6, "second", 0.7), params={"width": 0.5, **dict(list(base.params.items())[1:])}
    )
    found = find_ablations(study([base, narrow, without, fewer]))
    assert [(one.base.number, one.changed.number) for one in found] == [(5, 6), (5, 7), (5, 8)]
    assert find_ablations(study([base, narrow])) == []
