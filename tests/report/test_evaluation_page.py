"""The page of an evaluation, and the sentences it shares with the terminal."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

from gnv2_nas.report.evaluation_page.page import render_evaluation_page
from gnv2_nas.report.evaluation_page.words import (
    choose_tone,
    describe_table,
    format_row,
    list_columns,
)
from tests.evaluation.results import entrant, evaluation, measured, table
from tests.report.conftest import Opened

NASTY = "</script><script>alert(1)</script>"
PICK = measured(0.9, 1.0)
WEAKER, EQUAL = measured(0.8, 1.25, seed=1), measured(0.9, 1.0, seed=3)


def test_the_first_sentence_is_the_comparison_with_the_best_stock_network() -> None:
    first, *_ = describe_table(table(PICK, (entrant("stock", "stock"), WEAKER)))
    assert first.startswith(
        "Better on both: demo:7 against stock, the most accurate stock network within the budgets. "
        "Accuracy 90."
    )
    assert "0.80 times its latency (0.79 to 0.81)." in first


def test_a_win_is_claimed_only_with_both_intervals() -> None:
    for rival, verdict in ((WEAKER, "Better on both"), (EQUAL, "Inconclusive on both")):
        found = table(PICK, (entrant("stock", "stock"), rival))
        assert next(describe_table(found)).startswith(f"{verdict}: ")
        assert (choose_tone(found) == "good") == (rival is WEAKER)


def test_stock_networks_over_the_budgets_are_named_as_such() -> None:
    first = next(describe_table(table(PICK, (entrant("stock", "stock", ["2MFLOPs"]), WEAKER))))
    assert "which breaks the budget 2MFLOPs as all stock networks here do" in first


def test_random_networks_that_are_as_good_are_not_hidden() -> None:
    beaten, even = (entrant(f"random {number}", "random") for number in (1, 2))
    _, second = describe_table(table(PICK, (beaten, WEAKER), (even, EQUAL)))
    assert second.startswith("demo:7 is not shown to be more accurate than 1 of 2 random network")
    alike = measured(0.8, 1.05, seed=1)
    _, second = describe_table(table(PICK, (beaten, alike), (even, alike)))
    assert second.startswith("demo:7 is more accurate than both random networks of about its ")


def test_random_networks_that_are_much_slower_are_not_called_alike() -> None:
    one, other = (entrant(f"random {number}", "random") for number in (1, 2))
    slower = measured(0.8, 1.8, seed=2)
    _, second = describe_table(table(PICK, (one, measured(0.8, 1.3, seed=1)), (other, slower)))
    assert "both random networks of 1.3 to 1.8 times its latency, the nearest that were " in second
    _, second = describe_table(table(PICK, (one, slower)))
    assert "the random network of 1.8 times its latency, the nearest that were drawn: " in second


def test_every_row_has_a_cell_for_each_column() -> None:
    found = table(PICK, (entrant("stock", "stock"), WEAKER))
    assert {len(format_row(each)) for each in found.results} == {len(list_columns(found))}


def test_no_text_leaves_its_place(tmp_path: Path, open_page: Callable[..., Opened]) -> None:
    found = evaluation(
        table(PICK, (entrant(NASTY, "stock", [NASTY]), WEAKER), device=NASTY, view=NASTY),
        study=NASTY, data=NASTY, cautions=(NASTY,), left_out=(NASTY,), weights=NASTY,
    )  # fmt: skip
    page = render_evaluation_page(found)
    assert NASTY not in page
    (figure,) = re.findall(r'<script type="application/json" id="figure0">(.*?)</script>', page)
    names = [trace["name"] for trace in json.loads(figure)["data"]]
    assert names == ["the pick (1)", "stock networks (1)"]
    path = tmp_path / "evaluation.html"
    path.write_text(page)
    opened = open_page(path)
    assert opened.complaints == []
    assert opened.requests == [path.as_uri()]
    assert opened.page.locator(".badge.good").inner_text() == "better on both"
