"""From a budget to a report and a file to deploy, through the installed command."""

from __future__ import annotations

import csv
import json
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from gnv2_nas.arch import Architecture
from gnv2_nas.measurement.records.store import read_measurements
from gnv2_nas.search.analysis.baselines import is_scaled
from tests.cli.flow import SEARCH
from tests.search.spaces import AT_32


def test_a_search_says_what_it_does_and_ends_with_the_front(flow):
    err = flow.err
    assert err.startswith("study demo · space small, ")
    for words in ("smallest: ", "centre: ", "largest: ", "ended: all trials are done"):
        assert words in err
    *_, report, note, then = err.splitlines()
    assert report == "report: reports/demo.html"
    assert note.startswith("note: the exported weights are random, for timing only; to deploy")
    assert then.startswith("next: gnv2-nas export demo:")
    assert "[I " not in err
    out = flow.out
    assert out.startswith("front")
    # Published networks are ten times too large here: what was found, or scaled, is the front.
    numbers = {each.number for each in flow.record().trials if each.feasible}
    assert numbers
    assert {int(part.split()[0]) for part in out.split("demo:")[1:]} <= numbers


def test_stock_networks_are_measured_the_same_way(flow):
    candidates = flow.record().trials
    labels = [each.baseline for each in candidates if each.baseline]
    assert sorted(label for label in labels if not is_scaled(label)) == AT_32
    scaled = [each for each in candidates if is_scaled(each.baseline)]
    assert scaled
    assert all(each.feasible for each in scaled)
    origins = Counter(each.origin for each in candidates)
    assert origins == {"stock": len(labels), "random": 2, "change": 1}
    for each in candidates:
        assert each.latency.ms > 0
        # Zen-scores of MobileNetV3 do not compare with those of Ghost modules.
        assert (each.quality is None) == (each.architecture.family == "mobilenetv3")
        assert (each.latency.runtime, each.latency.device) == ("onnxruntime", "cpu")
        assert ("0.9MFLOPs" in each.broken_budgets) == (each.counts.macs > 0.9e6)
    # One reference for the whole study, whatever the minute.
    references = [each.latency.ms / each.latency.ratio for each in candidates]
    assert max(references) == pytest.approx(min(references))


def test_raw_samples_are_kept_beside_the_device(flow):
    kept = read_measurements("cpu", flow.folder / "profiles")
    known = {each.architecture.id for each in flow.record().trials}
    assert known <= {each.architecture for each in kept}
    assert all(len(each.wall_ms) == each.rounds for each in kept)


def test_page_table_and_data_lie_in_the_folder(flow):
    reports = flow.folder / "reports"
    assert {path.name for path in reports.iterdir()} == {"demo.html", "demo.csv", "demo.json"}
    assert "<!doctype html>" in (reports / "demo.html").read_text()[:200].lower()
    with (reports / "demo.csv").open() as file:
        rows = list(csv.DictReader(file))
    data = json.loads((reports / "demo.json").read_text())
    count = len(flow.record().trials)
    assert len(rows) == len(data["candidates"]) == count


def test_the_report_is_made_again(flow, tmp_path):
    answer = flow.run("report", "demo", "--reports", tmp_path, "--json")
    files = json.loads(answer.out)
    assert sorted(files) == ["csv", "html", "json"]
    assert all(Path(file).stat().st_size > 100 for file in files.values())
    again = flow.run("report", "demo", "--reports", tmp_path)
    assert again.out == flow.out
    assert f"report: {tmp_path}/demo.html" in again.err.splitlines()


def test_a_trial_is_exported_and_runs(flow, tmp_path):
    best = next(each for each in flow.record().trials if not each.baseline)
    model, description = tmp_path / "best.onnx", tmp_path / "best.json"
    answer = flow.run("export", f"demo:{best.number}", "--format", "onnx", "--output", model)
    assert "weights: random" in answer.err
    assert f"written: {model}" in answer.err
    assert "The weights are random" in (tmp_path / "best.md").read_text()
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    image = np.zeros((1, 3, 32, 32), np.float32)
    (logits,) = session.run(["logits"], {"input": image})
    assert logits.shape == (1, 10)
    flow.run("export", f"demo:{best.number}", "--format", "json", "--output", description)
    assert Architecture.from_json(description.read_bytes()) == best.architecture


def test_a_trial_is_profiled(flow):
    best = next(each for each in flow.record().trials if not each.baseline)
    answer = flow.run("profile", f"demo:{best.number}", "--json")
    (row,) = json.loads(answer.out)
    assert row["network"] == f"demo:{best.number}"
    assert row["id"] == best.architecture.id
    assert (row["macs"], row["params"]) == (best.counts.macs, best.counts.params)
    assert row["fvcore_total"] > row["macs"]
    low, high = row["latency"]["ci95"]
    assert low <= row["latency"]["ms"] <= high
    assert len(row["latency"]["wall_ms"]) == row["latency"]["rounds"]


def test_networks_are_compared(flow):
    best = next(each for each in flow.record().trials if not each.baseline)
    names = ["ghostnetv2-1.0", f"demo:{best.number}"]
    found = json.loads(flow.run("profile", *names, "--compare", "--json").out)
    assert found["first"] == names[0]
    comparison = found["comparisons"][names[1]]
    assert comparison["verdict"] == "FASTER"
    assert comparison["ci95"][0] < comparison["ratio"] < comparison["ci95"][1] < 1


def test_a_latency_budget_is_judged(flow):
    best = next(each for each in flow.record().trials if not each.baseline)
    answer = flow.run("profile", f"demo:{best.number}", "--budget", "0.0001ms", "--json")
    assert json.loads(answer.out)[0]["budget"] == "broken"


FILES = {"openvino": [".bin", ".xml"], "ncnn": [".bin", ".param"], "tflite": [".tflite"]}


@pytest.mark.parametrize("kind", FILES)
def test_files_of_other_runtimes(flow, tmp_path, kind):
    best = next(each for each in flow.record().trials if not each.baseline)
    target = tmp_path / "best"
    answer = flow.run("export", f"demo:{best.number}", "--format", kind, "--output", target)
    assert "logits differ from torch's by" in answer.err
    suffixes = FILES[kind] if len(FILES[kind]) > 1 else [""]
    written = sorted(path.name for path in tmp_path.iterdir())
    assert written == sorted(["best.md", *(f"best{suffix}" for suffix in suffixes)])


def test_an_int8_file(flow, tmp_path):
    best = next(each for each in flow.record().trials if not each.baseline)
    images = tmp_path / "images.npy"
    side = best.architecture.resolution
    np.save(images, np.random.default_rng(0).standard_normal((4, 3, side, side), np.float32))
    target = tmp_path / "best.onnx"
    flow.run(
        "export", f"demo:{best.number}", "--precision", "int8", "--calibration-images", images,
        "--output", target,
    )  # fmt: skip
    session = onnxruntime.InferenceSession(target, providers=["CPUExecutionProvider"])
    (logits,) = session.run(["logits"], {"input": np.zeros((1, 3, side, side), np.float32)})
    assert logits.shape == (1, 10)


def test_the_memory_of_a_trial_as_computed_and_as_it_is(flow):
    trial = flow.record().trials[0]
    answer = flow.run("profile", f"demo:{trial.number}", "--memory", "--json")
    (row,) = json.loads(answer.out)
    assert row["memory_bytes"] == trial.counts.memory_bytes
    assert row["artifact_bytes"] < row["peak_memory_bytes"] < 3 * row["memory_bytes"] + 3e6


def test_layers_of_a_trial(flow, tmp_path):
    best = next(each for each in flow.record().trials if not each.baseline)
    name = f"demo:{best.number}"
    tables = json.loads(flow.run("profile", name, "--layers", "--json").out)
    assert list(tables) == [name]
    assert sum(layer["share"] for layer in tables[name]) == pytest.approx(1)
    assert sum(layer["macs"] for layer in tables[name]) == best.counts.macs
    printed = flow.run("profile", name, "--layers")
    assert "conv_stem" in printed.out
    assert "(layout)" in printed.out


def test_the_same_study_goes_on(flow, tmp_path):
    flow = flow._replace(folder=shutil.copytree(flow.folder, tmp_path / "copy"))
    before = flow.record()
    answer = flow.run(*SEARCH, "--trials", 3, "--json")
    assert f"continuing after {len(before.trials)} finished trials" in answer.err
    result = json.loads(answer.out)
    assert (result["study"], result["ended"]) == ("demo", "all trials are done")
    assert Path(flow.folder, result["report"]).is_file()
    after = flow.record()
    known = [each.architecture for each in before.trials]
    found = [each.architecture for each in after.trials]
    assert found[: len(known)] == known
    assert sum(each.origin in ("random", "model") for each in after.trials) == 3
    numbers = {each["number"] for each in result["front"]}
    assert numbers
    keys = {"number", "architecture", "params", "baseline", "counts", "quality", "latencies"}
    assert all(keys | {"violations", "origin", "predicted"} <= set(row) for row in result["front"])
    # What is called a front was measured side by side, the networks of before included.
    assert numbers <= after.confirmed
