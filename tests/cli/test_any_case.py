"""Choices are understood in any case."""

from __future__ import annotations

from pathlib import Path

import pytest

from gnv2_nas.cli import any_case


@pytest.mark.parametrize(
    ("meant", "typed", "found"),
    [
        (any_case.network, "GhostNetV2-1.0", "ghostnetv2-1.0"),
        (any_case.network, "Study:3", "Study:3"),
        (any_case.space, "TINY", "tiny"),
        (any_case.device, "CPU", "cpu"),
        (any_case.quality, "Supernet:My.safetensors", "supernet:My.safetensors"),
        (any_case.sampler, "TPE", "tpe"),
        (any_case.lower, "Quality,LATENCY", "quality,latency"),
        (any_case.data, "Digits", "digits"),
        (any_case.any_case(lambda: ("onnx", "pte")), "ONNX", "onnx"),
        (any_case.any_case(lambda: ("onnx", "pte")), "onxx", "onxx"),
    ],
)
def test_what_is_meant(meant, typed, found, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert meant(typed) == found


def test_a_folder_of_that_name_is_the_data(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("Digits").mkdir()
    assert any_case.data("Digits") == "Digits"
