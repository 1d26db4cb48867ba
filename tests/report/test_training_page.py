"""The page of a training."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gnv2_nas.errors import OutputError
from gnv2_nas.files.outputs import PAGE, check_outputs
from gnv2_nas.report.training_page import TrainingReport, render_training_page
from gnv2_nas.training.history import TrainingPoint
from tests.report.conftest import Opened

NASTY = "</script><script>alert(1)</script>\"'&"


def point(step: int, accuracy: float | None, smallest: float | None = None) -> TrainingPoint:
    return TrainingPoint(
        step=step, steps=40, epoch=step / 10, loss=2.0 / step, accuracy=accuracy,
        learning_rate=0.1 / step, seconds=float(step), seconds_left=40.0 - step,
        smallest_accuracy=smallest, note=NASTY if step == 20 else "",
    )  # fmt: skip


def training(*, supernet: bool = False) -> TrainingReport:
    return TrainingReport(
        title=NASTY, data="pets", held_out=200, chance=0.25, headline="75.0% of 200",
        next_command="gnv2-nas export pets.safetensors", facts=(("Seed", "0"),), supernet=supernet,
    )  # fmt: skip


HISTORY = [point(10, 0.5, 0.4), point(20, None), point(30, 0.6, 0.7), point(40, 0.75, 0.7)]


def figure(page: str, name: str) -> dict[str, Any]:
    (text,) = re.findall(rf'<script type="application/json" id="{name}">(.*?)</script>', page)
    loaded: dict[str, Any] = json.loads(text)
    return loaded


def test_accuracies_are_drawn_where_they_were_measured() -> None:
    (curve,) = figure(render_training_page(training(), HISTORY), "accuracy-figure")["data"]
    assert (curve["x"], curve["y"]) == ([10, 30, 40], [50, 60, 75])
    # 150 of 200: Wilson's interval is 68.6 to 80.5 %.
    assert curve["error_y"]["array"][-1] == pytest.approx(5.5, abs=0.1)
    assert curve["error_y"]["arrayminus"][-1] == pytest.approx(6.4, abs=0.1)


def test_a_supernet_has_its_largest_and_its_smallest_network() -> None:
    page = render_training_page(training(supernet=True), HISTORY)
    curves = figure(page, "accuracy-figure")["data"]
    assert [curve["name"] for curve in curves] == ["largest network", "smallest network"]
    assert curves[1]["y"] == [40, 70, 70]


def test_loss_and_learning_rate_are_drawn_at_every_point() -> None:
    curves = figure(render_training_page(training(), HISTORY), "loss-figure")["data"]
    drawn = {curve["name"]: (curve["x"], curve["y"]) for curve in curves}
    assert drawn["loss"] == ([10, 20, 30, 40], [0.2, 0.1, 0.06667, 0.05])
    assert drawn["learning rate"][1][0] == 0.01


@pytest.mark.parametrize("history", [HISTORY[1:2], HISTORY])
def test_any_history_opens_offline(
    open_page: Callable[..., Opened], tmp_path: Path, history: list[TrainingPoint]
) -> None:
    path = tmp_path / "pets.html"
    path.write_text(render_training_page(training(), history))
    opened = open_page(path, width=390, color_scheme="dark")
    opened.page.wait_for_function(
        "[...document.querySelectorAll('.plot')].every(plot => plot.querySelector('.trace'))"
    )
    assert opened.complaints == []
    assert opened.requests == [path.as_uri()]
    assert opened.page.evaluate("document.documentElement.scrollWidth") <= 390
    assert opened.page.locator("h1").inner_text() == NASTY


def test_a_training_without_steps_has_a_page() -> None:
    assert "No step was recorded." in render_training_page(training(), [])


def test_only_a_page_of_ours_is_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "pets.html"
    check_outputs({path: PAGE})
    path.write_text(render_training_page(training(), HISTORY))
    check_outputs({path: PAGE})
    path.write_text("<html>mine</html>")
    with pytest.raises(OutputError, match="would overwrite"):
        check_outputs({path: PAGE})
