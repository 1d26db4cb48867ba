"""Which networks of a study are evaluated."""

from __future__ import annotations

import pytest

from gnv2_nas.arch import preset
from gnv2_nas.errors import InputError
from gnv2_nas.evaluation.entrants import Contest, Entrant, draw_alike, list_contests
from gnv2_nas.graph import count
from gnv2_nas.search.analysis.recommendation import recommend
from gnv2_nas.search.study.budgets import parse_budgets
from gnv2_nas.space import load_space
from tests.report.studies import on_devices, typical

STUDY = typical(40)


def test_the_recommended_network_meets_the_best_stock_networks_and_the_usual_ones() -> None:
    (contest,) = list_contests(STUDY, None, stock=True)
    recommended = recommend(STUDY).recommended
    assert recommended is not None
    assert contest.pick.label == f"demo:{recommended.number}"
    labels = [rival.label for rival in contest.rivals]
    within = [each for each in STUDY.trials if each.baseline and each.feasible]
    best = max(within, key=lambda each: each.quality or 0)
    assert best.baseline in labels
    assert {"ghostnet-1.0", "mobilenetv3-large-1.0"} <= set(labels)
    assert len(labels) == len(set(labels))
    assert all(rival.role == "stock" and not rival.broken for rival in contest.rivals)


def test_without_stock_there_is_the_pick_alone() -> None:
    (contest,) = list_contests(STUDY, None, stock=False)
    assert contest.rivals == ()


def test_a_named_trial_is_the_pick() -> None:
    number = STUDY.trials[-1].number
    (contest,) = list_contests(STUDY, number, stock=False)
    assert contest.pick.label == f"demo:{number}"


def test_each_limit_of_a_list_has_a_pick_of_its_own() -> None:
    contests = list_contests(typical(60, budgets=("150MFLOPs,300MFLOPs",)), None, stock=True)
    assert [contest.view for contest in contests] == ["within 150MFLOPs", "within 300MFLOPs"]
    tight, _ = contests
    assert count(tight.pick.architecture).macs <= 150e6
    assert all(rival.broken or count(rival.architecture).macs <= 150e6 for rival in tight.rivals)


def test_stock_networks_over_the_budget_are_compared_all_the_same_and_say_so() -> None:
    (contest,) = list_contests(typical(60, budgets=("60MFLOPs",)), 55, stock=True)
    assert {rival.broken for rival in contest.rivals} == {("60MFLOPs",)}
    side = contest.pick.architecture.resolution
    assert {rival.architecture.resolution for rival in contest.rivals} == {side}


def test_several_devices_share_one_pick() -> None:
    both = on_devices(typical(40, budgets=()), {"cpu": 1.0, "pi5": 0.7})
    (contest,) = list_contests(both, None, stock=False)
    assert contest.view == ""


def test_a_study_without_a_pick_is_refused() -> None:
    with pytest.raises(InputError, match="no network of study 'demo' keeps its budgets"):
        list_contests(typical(20, budgets=("1MFLOPs",)), None, stock=True)


def test_a_trial_that_is_not_there_is_refused() -> None:
    with pytest.raises(InputError, match="study 'demo' has no trial 999"):
        list_contests(STUDY, 999, stock=True)


def test_random_networks_have_about_the_size_of_the_pick_and_keep_the_budgets() -> None:
    space = load_space("tiny")
    (budget,) = parse_budgets(["7MFLOPs"])
    pick = preset("ghostnet-1.0").replace(resolution=32)
    contest = Contest("", Entrant("pick", pick, "pick"), (), (budget,))
    drawn = draw_alike(space, contest, 0)
    wanted = count(pick).macs
    assert len({arch.id for arch in drawn}) == len(drawn) >= 4
    assert all(0.9 * wanted < count(arch).macs < 1.1 * wanted for arch in drawn)
    assert all(count(arch).macs <= 7e6 for arch in drawn)
    assert drawn == draw_alike(space, contest, 0) != draw_alike(space, contest, 1)


def test_a_network_takes_part_once() -> None:
    arch = preset("ghostnet-1.0")
    contest = Contest("", Entrant("pick", arch, "pick"), (), ())
    twice = contest.with_rivals([Entrant("same", arch, "named"), Entrant("again", arch, "named")])
    assert twice.rivals == ()
