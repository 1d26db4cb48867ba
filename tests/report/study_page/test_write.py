"""The three files: what is in them, how large they get, and a disk that is full."""

from __future__ import annotations

import html
import json
import re
from pathlib import Path

import pandas as pd
import pytest
from msgspec.structs import replace

from gnv2_nas.arch import Architecture
from gnv2_nas.files.outputs import PAGE_MARK
from gnv2_nas.report.files import ReportFiles, report_files
from gnv2_nas.report.study_page.table import list_stock_rows
from gnv2_nas.report.study_page.write import write_report
from gnv2_nas.search.analysis.pareto import study_front
from gnv2_nas.search.analysis.recommendation import recommend
from gnv2_nas.search.study.budgets import parse_budget
from gnv2_nas.search.study.records import StudyRecord
from tests.confined import run_python
from tests.report.studies import (
    candidate,
    found_architecture,
    searched,
    stock,
    study,
    typical,
)

UNSCORED = study([candidate(0, found_architecture(0), quality=None)], objectives=("latency",))


def body(files: ReportFiles) -> str:
    """The page without plotly's own script."""
    return re.sub(r"<script>.*?</script>", "", files.html.read_text(), flags=re.DOTALL)


@pytest.mark.parametrize(
    "record",
    [
        study([]),
        study([stock()]),
        typical(40, budgets=("1MFLOPs",)),
        searched(),
        searched(objectives=("latency",)),
        typical(40, objectives=("quality",)),
        typical(40, objectives=("latency", "macs")),
        typical(40, objectives=("quality", "latency", "macs")),
        typical(40, budgets=()),
        UNSCORED,
        study([candidate(0, found_architecture(0), ratio=None)], objectives=("quality", "macs")),
        replace(typical(5), fingerprints={}),
    ],
)
def test_any_study_has_a_report(record: StudyRecord, tmp_path: Path) -> None:
    files = write_report(record, tmp_path)
    assert sorted(tmp_path.iterdir()) == sorted([files.html, files.csv, files.json])
    assert len(pd.read_csv(files.csv)) == len(record.trials)
    written = json.loads(files.json.read_text())
    assert written["front"] == [member.number for member in study_front(record)]


def test_a_list_of_budgets_has_an_answer_for_each(tmp_path: Path) -> None:
    limits = ("1MFLOPs", "120MFLOPs", "200MFLOPs")
    record = searched(30, budgets=(",".join(limits),))
    files = write_report(record, tmp_path)
    text, written = body(files), json.loads(files.json.read_text())
    assert [pick["budgets"] for pick in written["picks"]] == [[each] for each in limits]
    for pick in written["picks"]:
        alone = recommend(record.within(parse_budget(pick["budgets"][0])))
        assert pick["front"] == [member.number for member in alone.front]
        assert f"Within {pick['budgets'][0]}" in text
        assert html.escape(pick["headline"]) in text
        if alone.recommended is None:
            assert (pick["recommended"], pick["next"]) == (None, None)
        else:
            assert pick["recommended"] == alone.recommended.number
            assert html.escape(pick["next"]) in text
    assert [bool(pick["front"]) for pick in written["picks"]] == [False, True, True]


def test_the_stock_network_of_the_answer_is_marked() -> None:
    record = study([stock(92), candidate(1, found_architecture(1), quality=91, baseline="other")])
    compared = recommend(record).stock
    assert compared is record.trials[0]
    rows = list_stock_rows(record, [], compared)
    assert [row.badges for row in rows] == [("the answer compares with it",), ()]


def test_json_carries_architectures_that_read_back(tmp_path: Path) -> None:
    record = typical(10)
    written = json.loads(write_report(record, tmp_path).json.read_text())
    for row, one in zip(written["candidates"], record.trials, strict=True):
        assert Architecture.from_json(json.dumps(row["architecture"])) == one.architecture
        assert row["genotype"] == one.params
        assert row["macs"] == one.counts.macs


PARTS = ("What each part costs", "Hypervolume:", "The models of the search", "random design")


def test_a_search_on_models_shows_how_it_went(tmp_path: Path) -> None:
    record = searched()
    members = frozenset(one.number for one in study_front(record))
    text = body(write_report(replace(record, confirmed_on={"cpu": members}), tmp_path))
    for part in (*PARTS, "The front is confirmed", "removing it saves", "unclear"):
        assert part in text


def test_an_older_study_has_a_page_without_what_it_does_not_know(tmp_path: Path) -> None:
    text = body(write_report(typical(40), tmp_path))
    assert [part for part in PARTS if part in text] == ["Hypervolume:"]
    assert "confirmed" not in text


def test_csv_and_json_carry_origins_predictions_and_changes(tmp_path: Path) -> None:
    record = searched()
    files = write_report(record, tmp_path)
    frame, written = pd.read_csv(files.csv), json.loads(files.json.read_text())
    assert set(frame["origin"]) == {"stock", "random", "model", "change"}
    predicted = frame[frame["predicted_latency_ms"].notna()]
    assert set(predicted["origin"]) == {"model"}
    change = written["changes"][0]
    assert change["change"] == "DFC in blocks 6, 7: removed"
    assert change["latency_ms"]["low"] < change["latency_ms"]["difference"] < 0
    assert {change["of"], change["trial"]} < {one.number for one in record.trials}


def test_json_has_null_where_nothing_was_measured(tmp_path: Path) -> None:
    written = json.loads(write_report(UNSCORED, tmp_path).json.read_text())
    assert written["candidates"][0]["quality"] is None


def test_the_page_states_its_conditions(tmp_path: Path) -> None:
    record = typical(20, budgets=("300MFLOPs", "12ms"))
    text = body(write_report(record, tmp_path))
    for needed in (
        "Imaginary Core 5", "onnxruntime 1.31.0", "1 thread, fp32", "CPU time", "nsga2",
        "ghostnetv2 (hash 0f3a9c1d2b)", "300MFLOPs", "12ms", record.provenance.command,
        record.provenance.created_at,
        "multiply-adds of convolutions and linear layers", "Kendall τ",
    ):  # fmt: skip
        assert needed in text


def test_a_long_front_keeps_the_page_small(tmp_path: Path) -> None:
    members = [
        candidate(n, found_architecture(n % 40), quality=n / 100, ratio=0.5 + n / 4000)
        for n in range(1500)
    ]
    files = write_report(study(members), tmp_path)
    assert files.html.stat().st_size < 10e6
    assert "The front: 1,500 networks, 20" in body(files)


WRITE = """
import sys
from pathlib import Path
from gnv2_nas.errors import StorageError
from gnv2_nas.report.study_page.table import list_stock_rows
from gnv2_nas.report.study_page.write import write_report
from tests.report.studies import typical
try:
    write_report(typical(50), Path(sys.argv[1]))
except StorageError as error:
    sys.exit(f"refused: {error}")
"""


def test_a_full_disk_leaves_the_old_report(tmp_path: Path) -> None:
    old = report_files("demo", tmp_path)
    texts = [PAGE_MARK, "trial,id,baseline", '{"study":"old","candidates":[],"front":[]}']
    for path, text in zip((old.html, old.csv, old.json), texts, strict=True):
        path.write_text(text)
    checkout = Path(__file__).parents[2]
    done = run_python(WRITE, tmp_path, cwd=checkout, largest_file=100_000)
    assert done.returncode == 1
    assert done.stderr.startswith(f"refused: cannot write '{old.html}': File too large")
    assert [path.read_text() for path in (old.html, old.csv, old.json)] == texts
    assert len(list(tmp_path.iterdir())) == 3


def test_the_policy_admits_no_connection_and_no_other_script(tmp_path: Path) -> None:
    text = write_report(study([]), tmp_path).html.read_text()
    found = re.findall(r'Content-Security-Policy" content="([^"]*)"', text)
    directives = dict(part.split(" ", 1) for part in html.unescape(found[0]).split("; "))
    assert directives["default-src"] == "'none'"
    assert re.fullmatch(r"('sha256-\S+' ?){2}", directives["script-src"])
    assert set(directives) == {"default-src", "script-src", "style-src", "img-src"}
