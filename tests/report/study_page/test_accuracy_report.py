"""What a report says when quality is an accuracy, and how far it says to believe a score."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from msgspec.structs import replace

from gnv2_nas.arch import preset
from gnv2_nas.quality import ESTIMATORS, EstimatorInfo
from gnv2_nas.quality.trust.panel import TrustNetwork
from gnv2_nas.quality.trust.panel_file import save_trust
from gnv2_nas.report.figures.trust_figure import trust_figure, trust_info
from gnv2_nas.report.study_page.write import write_report
from gnv2_nas.report.trust_table import NO_EVIDENCE
from gnv2_nas.search.study.metrics import get_metric
from gnv2_nas.search.study.records import Provenance, StudyRecord
from gnv2_nas.space import load_space
from tests.report.panels import panel, trust
from tests.report.studies import candidate, found_architecture, stock, study

SPEC = "supernet:supernet.safetensors"
INFO = replace(ESTIMATORS["supernet"], noise=2.13)
SPACE = load_space("ghostnetv2")


def scored(quality: str = "zen") -> StudyRecord:
    """A study of the built-in default space: three networks and stock."""
    found = [
        candidate(n, found_architecture(n), quality=90.0 + n, ratio=0.6 + n / 10) for n in (1, 2, 3)
    ]
    record = study([stock(91.0), *found], quality=quality)
    settings = replace(record.settings, space_hash=SPACE.content_hash)
    return replace(record, settings=settings)


def accuracies() -> StudyRecord:
    """The same with supernet accuracies; stock is outside the supernet."""
    record = scored(SPEC)
    settings = replace(record.settings, data="pets", data_hash="0123456789ab")
    outside, *found = record.trials
    candidates = (replace(outside, quality=None), *found)
    return replace(record, settings=settings, trials=candidates, provenance=judged_by(record, INFO))


def judged_by(record: StudyRecord, info: EstimatorInfo) -> Provenance:
    return replace(record.provenance, estimator=info)


def text_of(record: StudyRecord, folder: Path) -> str:
    """What a reader sees, without scripts and tags, in one line."""
    page = write_report(record, folder / "reports").html.read_text()
    page = re.sub(r"<(script|style)\b.*?</\1>", "", page, flags=re.DOTALL)
    return " ".join(re.sub(r"<[^>]*>", " ", page).split())


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory without any panel, whatever is built in."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(
        "gnv2_nas.quality.trust.panel_file.built_in_folder", lambda _: tmp_path / "none"
    )
    return tmp_path


def test_an_accuracy_is_in_per_cent_and_a_score_is_not() -> None:
    accuracy, score = get_metric("quality", INFO), get_metric("quality", ESTIMATORS["zen"])
    assert (accuracy.format(93.14), score.format(93.14)) == ("93.1%", "93.14")
    assert accuracy.axis_title == "Supernet accuracy, %"
    assert accuracy.format_noise() == "2.1 percentage points"
    assert "not an accuracy" in score.axis_title


def test_an_accuracy_says_what_is_luck(folder: Path) -> None:
    text = text_of(accuracies(), folder)
    assert "differences up to 2.1 percentage points are noise" in text
    assert (
        "2 of 2 pairs of neighbours differ in supernet accuracy by no more than its noise" in text
    )
    assert "not an accuracy" not in text
    assert "pets (hash 0123456789ab)" in text


def test_a_study_whose_accuracies_are_all_alike_says_so(folder: Path) -> None:
    """Its three networks have 91, 92 and 93 per cent."""
    alike, record = (
        "The supernet accuracy of all 3 networks is equal within its noise",
        accuracies(),
    )
    assert alike in text_of(
        replace(record, provenance=judged_by(record, replace(INFO, noise=2.0))), folder
    )
    assert alike not in text_of(
        replace(record, provenance=judged_by(record, replace(INFO, noise=1.9))), folder
    )


def test_stock_outside_the_supernet_is_no_gain(folder: Path) -> None:
    record = accuracies()
    headline = json.loads(write_report(record, folder).json.read_text())["headline"]
    assert "No stock network within the budgets has a known supernet accuracy" in headline


def test_the_winner_of_a_search_with_images_is_trained(folder: Path) -> None:
    assert "gnv2-nas train demo:3 --data pets --from-supernet supernet.safetensors" in text_of(
        accuracies(), folder
    )
    assert "gnv2-nas export demo:3 --format onnx" in text_of(scored(), folder)


def test_a_score_that_nobody_checked_says_so(folder: Path) -> None:
    text = text_of(scored(), folder)
    assert "It has not been checked on space ghostnetv2" in text
    assert "gnv2-nas quality check --data DIR --space ghostnetv2 --budget 300MFLOPs" in text
    text = text_of(accuracies(), folder)
    assert "--data pets --space ghostnetv2 --budget 300MFLOPs --supernet supernet.saf" in text


def test_the_evidence_on_the_space_is_in_the_report(folder: Path) -> None:
    save_trust(panel(trust("zen", 0.1, (-0.2, -0.5, -0.1)), trust(SPEC, 0.8, (0.5, 0.2, 0.8))))
    text = text_of(scored(), folder)
    assert "has not been checked" not in text
    assert "in band τ 0.10 [-0.10, 0.20]; parameters 0.30 [0.10, 0.40]: not better than" in text
    assert "On pets, no data-free score beats the parameter count inside the budget band" in text
    text = text_of(accuracies(), folder)
    assert "in band τ 0.80 [0.60, 0.90]" in text
    assert "better than the parameter count" in text
    said = json.loads((folder / "reports" / "demo.json").read_text())["trust"]
    assert "in band τ 0.80" in said


def test_evidence_on_two_sets_of_images_is_shown_side_by_side(folder: Path) -> None:
    better, unsure = (0.5, 0.2, 0.8), (0.1, -0.4, 0.6)
    save_trust(panel(trust("zen", 0.7, better)))
    save_trust(replace(panel(trust("zen", 0.4, unsure)), data="letters"))
    text = text_of(scored(), folder)
    assert "on pets in band τ 0.70 [0.50, 0.80]" in text
    assert "on letters in band τ 0.40 [0.20, 0.50]" in text
    assert "On letters, Zen-score is above, but cannot be told from, the parameter count" in text
    page = (folder / "reports" / "demo.html").read_text()
    assert page.count('id="trust-2-figure"') == 1
    # It is not better on both.
    assert 'class="trust unclear"' in page
    assert NO_EVIDENCE in text
    save_trust(replace(panel(trust("zen", 0.7, better)), data="letters"))
    assert NO_EVIDENCE not in text_of(scored(), folder)
    # Better than a parameter count that misleads, but perhaps no better than chance.
    save_trust(replace(panel(trust("zen", 0.1, better)), data="letters"))
    assert NO_EVIDENCE in text_of(scored(), folder)


def test_evidence_on_another_form_of_the_space_says_so_and_supports_nothing(folder: Path) -> None:
    network = TrustNetwork(preset("ghostnetv2-1.3"), 269, 9, True, (90.0,))
    found = panel(trust("zen", 0.7, (0.5, 0.2, 0.8)))
    save_trust(replace(found, networks=(network,), space_hash="another"))
    text = text_of(scored(), folder)
    assert "on pets in band τ 0.70 [0.50, 0.80]" in text
    assert "The networks trained on pets belong to space ghostnetv2, but were drawn from" in text
    assert "gnv2-nas quality check --data DIR --space ghostnetv2" in text
    assert 'class="trust plain"' in (folder / "reports" / "demo.html").read_text()


def test_a_panel_without_this_score_names_the_command(folder: Path) -> None:
    save_trust(panel(trust("zen", 0.1)))
    text = text_of(accuracies(), folder)
    assert "not checked on space ghostnetv2" in text
    assert "--supernet supernet.safetensors" in text


@pytest.mark.parametrize("changed", ["space_hash", "space"])
def test_evidence_on_another_space_does_not_count(folder: Path, changed: str) -> None:
    save_trust(panel(trust("zen", 0.9)))
    record = scored()
    record = replace(record, settings=replace(record.settings, **{changed: "another"}))
    assert "has not been checked" in text_of(record, folder)


def test_the_best_in_band_stands_first_and_the_studys_own_is_marked() -> None:
    info = trust_info(panel(trust("zen", 0.1), trust(SPEC, 0.8)), SPEC)
    assert [line.title for line in info.lines] == [
        "Supernet accuracy", "Parameter score", "Zen-score",
    ]  # fmt: skip
    assert [line.strong for line in info.lines] == [True, False, False]
    assert info.baseline == 0.3
    overall, band = trust_figure(info).data
    assert list(band.x) == [0.8, 0.3, 0.1]
    assert list(overall.x) == [0.9, 0.4, 0.2]
    assert list(band.error_x.array) == pytest.approx([0.1, 0.1, 0.1])
