"""Metrics that need evaluating, from the command line's words to every table."""

from __future__ import annotations

import csv
import json

import pytest

from gnv2_nas.cli.search import print_findings
from gnv2_nas.errors import InputError
from gnv2_nas.report.study_page.write import write_report
from gnv2_nas.runtimes.base import get_runtime
from gnv2_nas.search.analysis.recommendation import recommend
from tests.measurement.networks import tiny_ghost
from tests.search.search_helpers import searched, session


def test_the_file_size_is_objective_budget_and_column(folder, capfd):
    asked = {"objectives": "quality,artifact", "budgets": ("1MB:artifact",), "trials": 12}
    opened = searched(folder, **asked)
    record = opened.store.record()
    sizes = {each.number: each.measured["artifact"] for each in record.trials}
    runtime = get_runtime("onnxruntime", "fp32", "cpu", "")
    for each in record.trials[:: len(record.trials) // 3]:
        assert sizes[each.number] == sum(map(len, runtime.write(each.architecture).values()))
    assert {each.feasible for each in record.trials} == {True, False}
    assert all(each.feasible == (sizes[each.number] <= 1e6) for each in record.trials)

    found = recommend(record)
    assert found.front
    print_findings(record)
    assert "File size, MB" in capfd.readouterr().out
    files = write_report(record, folder / "reports")
    rows = list(csv.DictReader(files.csv.read_text().splitlines()))
    assert [float(row["artifact_bytes"]) for row in rows] == list(sizes.values())
    written = json.loads(files.json.read_bytes())["candidates"]
    assert [each["artifact_bytes"] for each in written] == list(sizes.values())
    page = files.html.read_text()
    assert "file size, MB" in page
    assert "1MB:artifact" in page

    again = session(folder, **asked | {"budgets": ("1000 kB : artifact",)})
    assert again.resumed
    assert again.store.settings.budgets == opened.store.settings.budgets


def test_a_search_that_does_not_ask_for_it_writes_no_file(folder):
    opened = searched(folder, trials=1)
    assert all(not each.measured for each in opened.store.record().trials)


def test_peak_memory_is_measured_if_a_budget_asks_for_it(folder):
    opened = session(folder, objectives="quality,artifact", budgets=("9MB:peak-memory",))
    (found,) = opened.lanes[0].evaluate_metrics([tiny_ghost()])
    assert list(found) == ["artifact", "peak-memory"]
    assert found["artifact"] < 1e5 < found["peak-memory"] < 3e6


def test_a_device_that_does_not_tell_peak_memory_is_refused_at_once(folder):
    (folder / "eager.yaml").write_text("description: PyTorch\nruntime: torch\n")
    for asked in ({"budgets": ("9MB:peak-memory",)}, {"objectives": "quality,peak-memory"}):
        with pytest.raises(InputError, match=r"^device 'eager\.yaml' does not tell peak memory"):
            session(folder, devices=("eager.yaml",), **asked)
