"""Verdicts on the pick, and the comparison that the headline makes."""

from __future__ import annotations

import json

import msgspec
import pytest

from gnv2_nas.evaluation.results import Measured, judge
from tests.evaluation.results import entrant, evaluation, measured, table

PICK = measured(0.9, 1.0)


@pytest.mark.parametrize(
    ("rival", "text"),
    [
        (measured(0.8, 1.2, seed=1), "better on both"),
        (measured(0.8, 1.0, seed=1), "more accurate; latency inconclusive"),
        (measured(0.8, 0.8, seed=1), "more accurate, but slower"),
        (measured(0.9, 1.2, seed=3), "faster; accuracy inconclusive"),
        (measured(0.9, 1.0, seed=3), "inconclusive on both"),
        (measured(0.9, 0.8, seed=3), "slower; accuracy inconclusive"),
        (measured(0.97, 1.2, seed=1), "faster, but less accurate"),
        (measured(0.97, 1.0, seed=1), "less accurate; latency inconclusive"),
        (measured(0.97, 0.8, seed=1), "worse on both"),
    ],
)
def test_there_is_one_verdict_from_the_side_of_the_pick(rival: Measured, text: str) -> None:
    assert judge(PICK, rival).text == text


def test_gain_and_ratio_have_the_sign_of_the_pick() -> None:
    verdict = judge(PICK, measured(0.8, 1.25, seed=1))
    assert verdict.gain.low < 0.1 < verdict.gain.high
    assert verdict.gain.low > 0.08
    assert verdict.ratio.low < 0.8 < verdict.ratio.high < 0.83


def test_latencies_of_a_few_rounds_decide_nothing() -> None:
    verdict = judge(PICK, measured(0.8, 2.0, seed=1, rounds=3))
    assert verdict.text == "more accurate; latency inconclusive"


def test_the_pick_is_compared_with_the_most_accurate_stock_network_within_the_budgets() -> None:
    weak, strong, over = (measured(share, 1.2, seed=1) for share in (0.7, 0.8, 0.95))
    found = table(
        PICK,
        (entrant("weak", "stock"), weak),
        (entrant("strong", "stock"), strong),
        (entrant("over", "stock", ["2MFLOPs"]), over),
        (entrant("random 1", "random"), over),
    )
    assert found.best_stock is not None
    assert found.best_stock.label == "strong"
    only = table(PICK, (entrant("over", "stock", ["2MFLOPs"]), over))
    assert only.best_stock is not None
    assert only.best_stock.label == "over"
    assert table(PICK).best_stock is None


def test_scripts_get_every_number() -> None:
    found = evaluation(table(PICK, (entrant("rival", "stock"), measured(0.8, 1.25, seed=1))))
    read = json.loads(msgspec.json.encode(found.to_json()))
    (seen,) = read["tables"]
    pick, rival = seen["results"]
    assert seen["pick"] == pick["label"] == "demo:7"
    assert pick["verdict"] is None
    assert rival["verdict"]["pick_is"] == "better on both"
    assert rival["verdict"]["gain"].keys() == {"value", "low", "high"}
    assert len(rival["of_seeds"]) == 3
    assert rival["macs"] > 0
