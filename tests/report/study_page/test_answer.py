"""The words: a clear win, a tie, a loss, and everything that leaves no answer."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from msgspec.structs import replace

from gnv2_nas.arch import preset
from gnv2_nas.report.study_page.answer import Answer, write_answer
from gnv2_nas.search.analysis.recommendation import recommend
from gnv2_nas.search.study.records import StudyRecord, Trial
from tests.report.studies import candidate, network, on_devices, stock, study, typical


def answer(record: StudyRecord) -> Answer:
    return write_answer(record, recommend(record))


def said(candidates: Sequence[Trial], **changes: object) -> Answer:
    return answer(study(candidates, **changes))  # type: ignore[arg-type]


def test_a_clear_win_names_network_gain_interval_and_price() -> None:
    found = said([stock(92), network(1, 94, 0.82)])
    assert found.tone == "good"
    assert found.headline == (
        "demo:1 has 18% lower latency than stock GhostNetV2 1.0 (95% interval 17% to 19%) "
        "and a better Zen-score (94.00 against 92.00)."
    )
    (recommended,) = found.findings
    assert recommended.text == (
        "Zen-score 94.00 against 92.00; latency 5.99 ms, 0.820 of stock’s with a 95% interval of "
        "0.810 to 0.830. It is the only network of the front."
    )


def test_a_gain_in_one_objective_is_told_at_the_price_of_no_other() -> None:
    found = said([stock(92), network(1, 92.2, 0.82)])
    assert found.headline == (
        "demo:1 has 18% lower latency than stock GhostNetV2 1.0 (95% interval 17% to 19%), "
        "at no lower Zen-score (92.20 against 92.00)."
    )


def test_the_network_of_the_headline_is_the_first_card_and_the_best_precedes_the_knee() -> None:
    trials = [
        stock(92), network(1, 99, 1.3), network(2, 95, 0.9), network(3, 92.1, 0.6),
        network(4, 85, 0.3),
    ]  # fmt: skip
    found = said(trials)
    assert found.headline.startswith("demo:2 has 10% lower latency")
    assert [(each.title, each.trial and each.trial.number) for each in found.findings] == [
        ("Recommended", 2), ("Best Zen-score within the budgets", 1),
        ("Fastest, no worse than stock otherwise", 3),
    ]  # fmt: skip
    trials[3:] = [network(3, 91.5, 0.3), network(4, 85, 0.25)]
    (*_, last) = said(trials).findings
    assert (last.title, last.trial) == ("Best compromise: the knee of the front", trials[3])


def test_a_better_score_at_equal_latency() -> None:
    found = said([stock(92), network(1, 96, 0.995)])
    assert found.tone == "good"
    assert found.headline.startswith("demo:1 has a better Zen-score than stock GhostNetV2 1.0")
    assert "a latency that cannot be distinguished from stock’s" in found.headline


def test_a_tie_is_called_one() -> None:
    found = said([stock(92), network(1, 92.2, 0.995)])
    assert found.tone == "unclear"
    assert found.headline.startswith("Cannot tell whether demo:1 beats stock GhostNetV2 1.0")
    assert "which includes 1" in found.headline
    assert "noise of about 0.3" in found.headline


def test_a_loss_is_admitted() -> None:
    found = said([stock(92), network(1, 80, 0.7)])
    assert found.headline == (
        "No network found beats stock GhostNetV2 1.0 (demo:0): Zen-score 92.00, latency 7.30 ms."
    )
    assert found.tone == "plain"
    texts = [finding.text for finding in found.findings]
    assert "No network found reaches stock’s Zen-score." in texts
    assert any(text.startswith("Not better than stock: Zen-score 80.00") for text in texts)


def test_a_better_score_that_costs_more_is_no_win() -> None:
    found = said([stock(92), network(1, 97, 1.3)])
    assert found.tone == "plain"
    assert found.headline == (
        "No network found is as good as stock GhostNetV2 1.0 in every objective. Within the "
        "budgets, the best is demo:1: Zen-score 97.00 against 92.00; latency 9.49 ms, 1.300 of "
        "stock’s with a 95% interval of 1.284 to 1.316."
    )


def test_a_smaller_stock_network_that_is_the_best_within_a_limit_is_named() -> None:
    limit = ("7.3ms",)
    near = stock(99, ratio=1.005, budgets=limit)
    v1 = preset("ghostnet-1.0")
    small = candidate(1, v1, quality=93, ratio=0.7, baseline="ghostnet-1.0", budgets=limit)
    found = said([near, small], budgets=limit)
    assert "Within the budgets, the best is demo:1 (stock GhostNet 1.0):" in found.headline


def test_a_loss_to_stock_that_breaks_the_budget() -> None:
    budgets = ["100MFLOPs"]
    found = said([stock(92, budgets=budgets), network(1, 80, 0.7)], budgets=budgets)
    assert found.headline.startswith("demo:1 is recommended: Zen-score 80.00, latency 5.11 ms. ")
    assert found.headline.endswith(
        "No stock network keeps the budgets, so no gain can be stated. The nearest is stock "
        "GhostNetV2 1.0, over 100MFLOPs by 67%."
    )
    assert [each.title for each in found.findings] == ["Recommended"]


def test_a_scaled_network_says_so() -> None:
    scaled = preset("ghostnetv2-1.0").replace(resolution=192)
    label = "ghostnetv2-1.0 ×0.9 at 192 px"
    found = said([candidate(0, scaled, quality=92, baseline=label), network(1, 94, 0.82)])
    assert " than stock GhostNetV2 1.0 ×0.9 at 192 px (95% interval" in found.headline


def test_no_stock_network_no_claim() -> None:
    found = said([network(1, 94, 0.82)])
    assert found.headline.startswith("demo:1 is recommended: Zen-score 94.00")
    assert "contains no stock network, so no gain can be stated" in found.headline


def test_a_knee_that_is_a_stock_network_says_so() -> None:
    v1 = candidate(1, preset("ghostnet-1.0"), quality=93, ratio=0.7, baseline="ghostnet-1.0")
    found = said([stock(92), v1])
    assert (
        "It is a stock network, ghostnet-1.0, outside the search space." in found.findings[0].text
    )


def test_nothing_evaluated() -> None:
    assert said([]).headline == "Nothing has been evaluated yet, so there is nothing to recommend."


def test_nothing_feasible_names_the_nearest() -> None:
    budgets = ["1ms", "1Mparams"]
    found = said([stock(budgets=budgets), network(1, 90, 0.5, budgets=budgets)], budgets=budgets)
    assert found.headline == (
        "None of the 2 evaluated networks keeps every budget. "
        "The nearest is demo:1, over 1ms by 265% and 1Mparams by 357%."
    )


def test_nothing_scored() -> None:
    found = said([network(1, None, 0.9)])
    assert (
        found.headline == "No network that keeps the budgets has a value for every objective yet."
    )


def test_one_objective() -> None:
    found = said([stock(), network(1, 80, 0.7)], objectives=("latency",))
    assert found.headline == (
        "demo:1 has 30% lower latency than stock GhostNetV2 1.0 (95% interval 29% to 31%)."
    )
    assert [finding.title for finding in found.findings] == ["Recommended"]


def test_each_of_three_objectives_is_told() -> None:
    objectives: tuple[str, ...] = ("quality", "latency", "macs")
    better = candidate(1, preset("ghostnet-1.0"), quality=92.1, ratio=0.8)
    found = said([stock(92), better], objectives=objectives)
    assert found.headline.endswith(
        "(95% interval 19% to 21%) and 16% fewer FLOPs (141.2 MFLOPs against 167.0 MFLOPs), "
        "at no lower Zen-score (92.10 against 92.00)."
    )


def test_a_reason_that_devices_share_is_told_once() -> None:
    two = on_devices(study([stock(92), network(1, 94, 0.82)]), {"cpu": 1.0, "pi5": 1.0})
    first, best = two.trials
    hot = {
        name: replace(each, stable=False, reason="hot") for name, each in best.measured_on.items()
    }
    found = answer(replace(two, trials=(first, replace(best, latencies=hot))))
    assert "Its latency is not stable on cpu and pi5: hot." in found.findings[0].text
    hot["pi5"] = replace(hot["pi5"], reason="busy")
    found = answer(replace(two, trials=(first, replace(best, latencies=hot))))
    assert "not stable on cpu: hot; on pi5: busy." in found.findings[0].text


def test_an_unstable_latency_is_told() -> None:
    found = said([stock(92), network(1, 94, 0.82, reason="interval ±5.0% after 64 rounds")])
    assert "not stable" in found.findings[0].text


def test_stable_networks_take_precedence_and_the_page_says_so() -> None:
    unstable = network(2, 95, 0.6, reason="interval ±5.0% after 64 rounds")
    text = said([stock(92), network(1, 97, 0.9), unstable]).findings[0].text
    assert "It is the only one of 2 networks on the front with a stable latency." in text


@pytest.mark.parametrize("estimator", ["zen", "params", "something new"])
def test_no_score_is_called_an_accuracy(estimator: str) -> None:
    found = answer(typical(60, quality=estimator))
    text = " ".join([found.headline, *(one.title + one.text for one in found.findings)])
    assert "accura" not in text.replace("not an accuracy", "")
