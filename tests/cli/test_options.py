"""Choices are understood in any case."""

from __future__ import annotations

from pathlib import Path

import pytest

from gnv2_nas.cli import options


@pytest.mark.parametrize(
    ("meant", "typed", "found"),
    [
        (options.normalize_network, "GhostNetV2-1.0", "ghostnetv2-1.0"),
        (options.normalize_network, "Study:3", "Study:3"),
        (options.normalize_space, "TINY", "tiny"),
        (options.normalize_device, "CPU", "cpu"),
        (options.normalize_quality, "Supernet:My.safetensors", "supernet:My.safetensors"),
        (options.normalize_sampler, "TPE", "tpe"),
        (options.lower, "Quality,LATENCY", "quality,latency"),
        (options.normalize_data, "Digits", "digits"),
        (options.fold_case(lambda: ("onnx", "pte")), "ONNX", "onnx"),
        (options.fold_case(lambda: ("onnx", "pte")), "onxx", "onxx"),
    ],
)
def test_what_is_meant(meant, typed, found, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert meant(typed) == found


def test_a_folder_of_that_name_is_the_data(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("Digits").mkdir()
    assert options.normalize_data("Digits") == "Digits"
