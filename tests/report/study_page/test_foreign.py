"""Files of other tools on a study's page: marked, never among scores, and harmless."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path

from msgspec.structs import replace

from gnv2_nas.formats.foreign.network import FileCounts, Input
from gnv2_nas.report.figures.front_figure import front_figure, front_info
from gnv2_nas.report.frames import trials_frame
from gnv2_nas.report.study_page.foreign_table import list_foreign_rows
from gnv2_nas.report.study_page.write import write_report
from gnv2_nas.search.study.foreign import ForeignBaseline
from gnv2_nas.search.study.metrics import get_metric
from tests.report.studies import found_architecture, measurement, on_devices, typical

INPUT = Input((1, 224, 224, 3), "uint8")
TIMED = measurement(found_architecture(1), 0.9, reason="drift")
FILE = ForeignBaseline(
    "0" * 12, "<b>rival</b>.onnx", INPUT, FileCounts(230_000_000, 5_400_000, 21_600_000), 75.3,
    {"cpu": TIMED},
)  # fmt: skip
ODD = ForeignBaseline("1" * 12, "odd.onnx", INPUT, FileCounts(None, 900, 900, "it has 'Odd'"))


def with_files(*files: ForeignBaseline, **changes: object):
    return replace(typical(20, **changes), foreign=files)


def test_the_page_and_the_json_name_the_files_and_what_was_stated(tmp_path: Path) -> None:
    written = write_report(with_files(FILE, ODD), tmp_path)
    page = re.sub(r"<script.*?</script>", "", written.html.read_text(), flags=re.DOTALL)
    assert "&lt;b&gt;rival&lt;/b&gt;.onnx" in page
    assert "<b>rival</b>" not in page
    assert "1x224x224x3 uint8; accuracy 75.3%, as stated" in page
    assert "MFLOPs not counted: it has &#39;Odd&#39;" in page
    assert "nothing here measured them" in page
    rival, odd = json.loads(written.json.read_text())["foreign"]
    assert (rival["accuracy"], odd["counts"]["macs"]) == (75.3, None)
    plain = write_report(with_files(), tmp_path).html.read_text()
    assert "Files of other tools" not in plain


def test_a_stated_accuracy_stands_in_the_column_of_scores_only_among_accuracies() -> None:
    scores, accuracies = with_files(FILE, ODD), with_files(FILE, quality="train")
    zen, _ = list_foreign_rows(scores)
    (trained,) = list_foreign_rows(accuracies)
    assert zen.cells[0].text == "–"
    assert (trained.cells[0].text, trained.cells[0].detail) == ("75.3", "as stated")
    assert zen.badges == ("latency not stable",)
    assert zen.cells[1].text == f"{TIMED.ms:.2f}"
    quality = get_metric("quality", scores.quality_info)
    assert math.isnan(FILE.value(quality))


def test_a_file_is_a_cross_at_its_latency_on_the_edge_without_a_score() -> None:
    record = with_files(FILE, ODD)
    info = front_info(record, trials_frame(record), None)
    assert info.files.names == ["&lt;b&gt;rival&lt;/b&gt;.onnx"]
    assert info.files.x == [float(f"{TIMED.ms:.6g}")]
    low, high = info.y_range
    assert low < info.files.y[0] < low + 0.05 * (high - low)  # within, or nothing is drawn
    assert info.files.on_edge
    (trace,) = (each for each in front_figure(info).data if "other tools" in (each.name or ""))
    assert trace.marker.symbol == "cross"
    assert "<b>" not in trace.text[0]


def test_each_device_shows_its_own_latency() -> None:
    slow = replace(TIMED, device="pi5", ms=90.0)
    both = on_devices(with_files(), {"cpu": 1.0, "pi5": 9.0})
    record = replace(both, foreign=(replace(FILE, latencies={"cpu": TIMED, "pi5": slow}),))
    (row,) = list_foreign_rows(record)
    assert [cell.text for cell in row.cells[1:3]] == [f"{TIMED.ms:.2f}", "90.00"]
    (alone,) = record.on("pi5").foreign
    assert alone.latency == slow
