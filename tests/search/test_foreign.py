"""`search --baseline`: files of other tools are measured beside the networks, and are no trials."""

from __future__ import annotations

from pathlib import Path

import pytest

from gnv2_nas.errors import InputError
from gnv2_nas.search.confirmation import confirm_front
from gnv2_nas.search.storage.studies import open_study
from gnv2_nas.workflows.foreign import read_baselines
from gnv2_nas.workflows.search.request import SearchRequest
from gnv2_nas.workflows.study import format_files
from tests.formats.foreign.files import save_conv, save_tflite
from tests.search.search_helpers import STORAGE, calibrated, measure_briefly, session

ASKED = {"objectives": "quality,latency", "trials": 2, "ablations": 0}


def test_a_file_shares_rounds_with_stock_and_then_with_the_front(folder, monkeypatch):
    measure_briefly(monkeypatch)
    save_conv(Path("rival.onnx"), ["n", 3, "h", "w"])
    opened = calibrated(session(folder, baselines=("rival.onnx=75.3",), **ASKED))
    opened.calibrate()
    loop = opened.loop()
    loop.run()
    (file,) = opened.store.foreign()
    stock = next(each for each in loop.trials.values() if each.baseline)
    assert (file.name, file.accuracy) == ("rival.onnx", 75.3)
    assert file.input.shape == (1, 3, 32, 32)  # that of the space, as stock networks
    assert file.latency.batch == stock.latency.batch.partition("+")[0]
    assert file.latency.architecture == file.id
    confirm_front(loop)
    record = open_study(STORAGE, "demo").record()
    (confirmed,) = record.foreign
    assert confirmed.latency.batch != file.latency.batch
    assert confirmed.latency.batch in {each.latency.batch for each in loop.front}
    assert file.id not in {each.architecture.id for each in record.trials}
    ((name, note, ms, *_),) = format_files(record)[1]
    assert (name, ms.split()[0]) == ("rival.onnx", f"{confirmed.latency.ms:.2f}")
    assert "accuracy 75.3%, as stated" in note

    # Later runs keep what is known, with the file and without.
    for baselines in (("rival.onnx",), ()):
        again = calibrated(session(folder, baselines=baselines, **ASKED))
        again.loop().run()
        (kept,) = again.store.foreign()
        assert kept.latency == confirmed.latency
    assert kept.accuracy is None  # as stated last


def test_a_search_without_latencies_keeps_the_counts(folder):
    save_tflite(Path("any.tflite"))
    opened = session(folder, baselines=("any.tflite",))  # a device of ONNX Runtime
    opened.loop().run()
    (file,) = opened.store.foreign()
    assert (file.counts.macs, file.latencies) == (16 * 16 * 8 * 27, {})


def test_what_cannot_be_compared_with_is_refused_in_one_line(folder):
    save_conv(Path("rival.onnx"))
    Path("copy.onnx").write_bytes(Path("rival.onnx").read_bytes())
    save_tflite(Path("any.tflite"))
    for texts, said in {
        ("rival.onnx=140",): "--baseline rival.onnx=140: an accuracy is above 0 and at most 100 %",
        ("rival.onnx=nan",): "but got 'nan'", ("rival.onnx=0",): "but got '0'",
        ("rival.onnx=",): "but got ''",
        ("rival.onnx=high",): "but got 'high'", ("rival.onnx", "copy.onnx"): "are the same file",
        ("gone.onnx=75",): "cannot read 'gone.onnx'", ("ghostnet-1.0",): "has the format '.0'",
        ("rival.onnx",) * 9: "--baseline takes up to 8 files, but got 9",
        ("any.tflite",): "reads no .tflite files; try --device cpu-litert",
    }.items():  # fmt: skip
        with pytest.raises(InputError) as raised:
            SearchRequest(objectives="quality,latency", baselines=texts).check()
        assert said in str(raised.value)
        assert "\n" not in str(raised.value)
    Path("a=1.onnx").write_bytes(Path("rival.onnx").read_bytes())
    (only,) = read_baselines(["a=1.onnx"], (32,), {"cpu": "onnxruntime"})
    assert (only.network.name, only.accuracy) == ("a=1.onnx", None)
    (stated,) = read_baselines(["a=1.onnx=62.5%"], (32,), {})
    assert stated.accuracy == 62.5


def test_the_command_repeats_its_baselines():
    command = SearchRequest(baselines=("a.onnx", "b.tflite=70")).to_command()
    assert "--baseline a.onnx --baseline b.tflite=70" in command
