"""Samples as google-benchmark's `compare.py` reads them."""

from __future__ import annotations

import json
import statistics

import pytest

from gnv2_nas.errors import OutputError, UnknownNameError
from gnv2_nas.measurement.records.google_benchmark import check_export, export_samples
from tests.measurement.test_store import made_up

SLOW = made_up(0, wall_ms=(2.0, 2.2, 2.1), cpu_ms=(1.9, 2.0, 2.05))
FAST = made_up(0, wall_ms=(1.0, 1.1), cpu_ms=(0.9, 1.0))


def compare(old, new, field):
    """What `gbench/report.py` does with two files: pairs by name and unit, then changes."""
    changes = {}
    for name in dict.fromkeys(each["name"] for each in old["benchmarks"]):
        mine = [each for each in old["benchmarks"] if each["name"] == name]
        unit = next(each["time_unit"] for each in mine if {"real_time", "cpu_time"} <= each.keys())
        theirs = [
            each for each in new["benchmarks"] if each["name"] == name and each["time_unit"] == unit
        ]
        if theirs:
            pairs = zip(mine, theirs, strict=False)
            changes[name] = [(b[field] - a[field]) / abs(a[field]) for a, b in pairs]
    return changes


def exported(path, **measurements):
    export_samples(measurements, str(path))
    return json.loads(path.read_text())


def test_two_files_compare_by_network_and_round(tmp_path):
    old = exported(tmp_path / "old.json", one=SLOW, other=SLOW)
    new = exported(tmp_path / "new.json", one=FAST)
    times = compare(old, new, "real_time")
    assert list(times) == ["one", "one_mean", "one_median", "one_stddev", "one_cv"]
    assert times["one"] == pytest.approx([-0.5, -0.5])
    assert times["one_median"] == pytest.approx([-0.5])
    busy = compare(old, new, "cpu_time")
    assert busy["one"] == pytest.approx([0.9 / 1.9 - 1, -0.5])


def test_every_round_is_a_repetition_in_microseconds(tmp_path):
    found = exported(tmp_path / "a.json", one=SLOW)
    rounds = [each for each in found["benchmarks"] if each["run_type"] == "iteration"]
    assert [each["real_time"] for each in rounds] == pytest.approx([2000, 2200, 2100])
    assert [each["cpu_time"] for each in rounds] == pytest.approx([1900, 2000, 2050])
    assert [each["repetition_index"] for each in rounds] == [0, 1, 2]
    assert {each["time_unit"] for each in found["benchmarks"]} == {"us"}
    assert {each["repetitions"] for each in found["benchmarks"]} == {3}
    aggregates = {
        each["aggregate_name"]: each["real_time"]
        for each in found["benchmarks"]
        if each["run_type"] == "aggregate"
    }
    assert aggregates["stddev"] == pytest.approx(statistics.stdev([2000, 2200, 2100]))
    assert aggregates["cv"] == pytest.approx(aggregates["stddev"] / aggregates["mean"])
    context = found["context"]
    assert context["json_schema_version"] == 1
    assert (context["num_cpus"], context["load_avg"]) == (2, [0.0])


def test_one_round_has_no_aggregates(tmp_path):
    found = exported(tmp_path / "a.json", one=made_up(0, wall_ms=(2.0,), cpu_ms=(1.9,)))
    assert [each["name"] for each in found["benchmarks"]] == ["one"]


def test_an_export_replaces_an_export_and_nothing_else(tmp_path):
    path = tmp_path / "a.json"
    check_export("google-benchmark", str(path), [])
    exported(path, one=SLOW)
    check_export("google-benchmark", str(path), [])
    path.write_text("{}")
    with pytest.raises(OutputError, match="would overwrite"):
        check_export("google-benchmark", str(path), [])
    with pytest.raises(UnknownNameError, match="unknown export format 'csv'"):
        check_export("csv", str(path), [])
