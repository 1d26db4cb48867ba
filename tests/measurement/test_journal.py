"""Measurements kept in a file, whatever happens to it."""

from __future__ import annotations

import msgspec
import pytest

from gnv2_nas.devices import Fingerprint
from gnv2_nas.errors import StorageError
from gnv2_nas.measurement import Measurement
from gnv2_nas.measurement.record import append_measurements, read_measurements
from tests.confined import run_python

APPEND = """
import sys
from pathlib import Path
import msgspec
from gnv2_nas.errors import StorageError
from gnv2_nas.measurement import Measurement
from gnv2_nas.measurement.record import append_measurements, read_measurements
one = msgspec.json.decode(sys.argv[2], type=Measurement)
try:
    append_measurements([one] * 20, Path(sys.argv[1]))
except StorageError as error:
    sys.exit(f"refused: {error}")
"""


def made_up(number: int = 0, device: str = "cpu") -> Measurement:
    return Measurement(
        architecture=f"{number:012}", device=device, runtime="onnxruntime", threads=1,
        precision="fp32", ms=1.5, ci95=(1.4, 1.6), ratio=0.2, ratio_ci95=(0.19, 0.21), stable=True,
        reason="", clock="cpu", raw_ms=1.7, rounds=2, taken_at="2026-01-31T12:00:00+00:00",
        fingerprint=Fingerprint("Core ½", 2, 4.0, "Linux", "3.11.7", "onnxruntime 1.31"),
        wall_ms=(1.6, 1.8), cpu_ms=(1.5, 1.5),
    )  # fmt: skip


def test_measurements_are_read_back_in_order(tmp_path):
    folder = tmp_path / "profiles"
    append_measurements([made_up(0), made_up(1)], folder)
    append_measurements([made_up(2), made_up(3, "board")], folder)
    assert read_measurements("cpu", folder) == [made_up(0), made_up(1), made_up(2)]
    assert read_measurements("board", folder) == [made_up(3, "board")]
    assert read_measurements("phone", folder) == []


def test_a_line_cut_short_costs_that_line_only(tmp_path):
    append_measurements([made_up(0), made_up(1)], tmp_path)
    path = tmp_path / "cpu.jsonl"
    path.write_bytes(path.read_bytes()[:-200])
    assert read_measurements("cpu", tmp_path) == [made_up(0)]
    append_measurements([made_up(2)], tmp_path)
    append_measurements([made_up(3)], tmp_path)
    assert read_measurements("cpu", tmp_path) == [made_up(0), made_up(2), made_up(3)]


def test_a_full_disk_is_told_and_costs_no_line_before(tmp_path):
    text = msgspec.json.encode(made_up()).decode()
    room = 3 * len(text)
    refused = run_python(APPEND, tmp_path, text, cwd=tmp_path, largest_file=room)
    path = tmp_path / "cpu.jsonl"
    assert refused.stderr.startswith(f"refused: cannot write {str(path)!r}: ")
    assert len(refused.stderr.splitlines()) == 1
    assert path.stat().st_size == room
    append_measurements([made_up(7)], tmp_path)
    assert read_measurements("cpu", tmp_path) == [made_up(), made_up(), made_up(7)]


def test_a_read_only_file_is_told(tmp_path):
    append_measurements([made_up()], tmp_path)
    (tmp_path / "cpu.jsonl").chmod(0o444)
    text = msgspec.json.encode(made_up()).decode()
    refused = run_python(APPEND, tmp_path, text, cwd=tmp_path)
    assert "Permission denied" in refused.stderr
    assert refused.stderr.startswith("refused: ")
    assert read_measurements("cpu", tmp_path) == [made_up()]


def test_a_file_in_the_place_of_the_folder_is_told(tmp_path):
    (tmp_path / "profiles").write_text("a file")
    with pytest.raises(StorageError, match=r"cannot write '.*cpu.jsonl'"):
        append_measurements([made_up()], tmp_path / "profiles")
