"""The store of measurements, whatever happens to its writers and its disk."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from gnv2_nas.devices import Fingerprint
from gnv2_nas.errors import StorageError
from gnv2_nas.files.journal import read_lines
from gnv2_nas.measurement import Measurement
from gnv2_nas.measurement.records.record import PanelSamples
from gnv2_nas.measurement.records.store import (
    SCHEMA,
    append_measurements,
    hash_files,
    is_store,
    read_measurements,
)
from tests.confined import run_python

APPEND = """
import sys
from pathlib import Path
import msgspec
from gnv2_nas.errors import StorageError
from gnv2_nas.measurement import Measurement
from gnv2_nas.measurement.records.store import append_measurements, read_measurements
one = msgspec.json.decode(sys.argv[2], type=Measurement)
try:
    for _ in range(20):
        append_measurements([one], Path(sys.argv[1]))
except StorageError as error:
    sys.exit(f"refused: {error}")
"""
WRITERS, KILLS = 8, 20
KILL_WRITERS = f"""
import fcntl, itertools, os, random, signal, sys
from pathlib import Path
import msgspec
from gnv2_nas.measurement import Measurement
from gnv2_nas.measurement.records.store import append_measurements, store_path
folder = Path(sys.argv[1])
one = msgspec.json.decode(sys.argv[2], type=Measurement)
rng = random.Random(0)

pread = os.pread

def check_and_let_others_run(*arguments):
    found = pread(*arguments)
    for _ in range(20):
        os.sched_yield()
    return found

os.pread = check_and_let_others_run

def write(mortal, ends_within_a_line):
    for number in itertools.count():
        name = f"{{os.getpid()}}-{{number}}"
        append_measurements([msgspec.structs.replace(one, architecture=name)], folder)
        os.write(writing, f"{{name}}\\n".encode())
        if number == mortal and ends_within_a_line:
            # As a kill within a large write does.
            with store_path("cpu", folder).open("ab") as file:
                fcntl.flock(file, fcntl.LOCK_EX)
                os.write(file.fileno(), msgspec.json.encode(one)[:-9])
                os.kill(os.getpid(), signal.SIGKILL)

def start(kill):
    pid = os.fork()
    if pid == 0:
        os.close(reading)
        write(rng.randrange(3), kill % 2)
    return pid

reading, writing = os.pipe()
writers = [start(number) for number in range({WRITERS})]
written = os.fdopen(reading)
for kill in range({KILLS}):
    for _ in range(rng.randrange(2, 6)):
        sys.stdout.write(written.readline())
    number = rng.randrange({WRITERS})
    os.kill(writers[number], signal.SIGKILL)
    os.waitpid(writers[number], 0)
    writers[number] = start(kill)
for pid in writers:
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
os.close(writing)
with written:
    sys.stdout.write(written.read())
"""


def made_up(number: int = 0, device: str = "cpu", **changes: Any) -> Measurement:
    made = Measurement(
        architecture=f"{number:012}", device=device, runtime="onnxruntime", threads=1,
        precision="fp32", ms=1.5, ci95=(1.4, 1.6), ratio=0.2, ratio_ci95=(0.19, 0.21), stable=True,
        reason="", clock="cpu", raw_ms=1.7, rounds=2, taken_at="2026-01-31T12:00:00+00:00",
        fingerprint=Fingerprint("Core ½", 2, 4.0, "Linux", "3.11.7", "onnxruntime 1.31"),
        wall_ms=(1.6, 1.8), cpu_ms=(1.5, 1.5),
    )  # fmt: skip
    return msgspec.structs.replace(made, **changes)


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
    append_measurements([made_up()], tmp_path)
    path = tmp_path / "cpu.jsonl"
    line = path.stat().st_size
    room = 3 * line - 100
    refused = run_python(APPEND, tmp_path, text, cwd=tmp_path, largest_file=room)
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


def test_the_panel_is_kept_once_for_its_batch(tmp_path):
    panel = PanelSamples("b", (0, 0), {"small": (1.0, 1.1)}, {"small": (0.9, 1.0)})
    batch = [made_up(number, batch="b", panel=panel) for number in range(3)]
    append_measurements(batch, tmp_path)
    alone = [msgspec.structs.replace(each, panel=None) for each in batch]
    assert read_measurements("cpu", tmp_path) == alone
    lines = [json.loads(line) for line in (tmp_path / "cpu.jsonl").read_text().splitlines()]
    assert [line["schema"] for line in lines] == [SCHEMA] * 4
    (stored,) = (line["panel"] for line in lines if "architecture" not in line)
    assert msgspec.convert(stored, PanelSamples) == panel


def test_networks_are_found_among_others(tmp_path):
    append_measurements(map(made_up, (0, 1, 2, 1)), tmp_path)
    found = read_measurements("cpu", tmp_path, networks=[made_up(1).architecture, "none"])
    assert found == [made_up(1), made_up(1)]


def test_lines_of_earlier_versions_are_read_and_of_later_ones_left_alone(tmp_path):
    path = tmp_path / "cpu.jsonl"
    new = {"panel", "profile_hash", "files_hash", "calibration", "software", "reused"}
    fields = json.loads(msgspec.json.encode(made_up()))
    old = {name: value for name, value in fields.items() if name not in new}
    later = {"schema": SCHEMA + 1} | old | {"architecture": "later", "ms": {"mean": 1.5}}
    path.write_text("".join(json.dumps(each) + "\n" for each in (old, later)))
    append_measurements([made_up(1)], tmp_path)
    assert read_measurements("cpu", tmp_path) == [made_up(), made_up(1)]


def test_a_line_that_is_no_text_is_skipped(tmp_path):
    (tmp_path / "cpu.jsonl").write_bytes(b'{"architecture":"\xff"}\n\0\0\0\n' + b"[" * 9999 + b"\n")
    append_measurements([made_up()], tmp_path)
    assert read_measurements("cpu", tmp_path) == [made_up()]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", True),
        (b'{"schema":2,"architec', True),
        (b'{"schema":2,"architec\n{"device":"cpu","ratio":1.0}\n', True),
        (b'{"fitted_on":{},"ridge":1}\n', False),
        (b"my notes\n", False),
    ],
)
def test_a_store_is_told_from_other_files(tmp_path, content, expected):
    (tmp_path / "cpu.jsonl").write_bytes(content)
    assert is_store(tmp_path / "cpu.jsonl") == expected


def test_files_have_one_hash_whatever_their_order():
    files = {".param": b"ab", ".bin": b"c"}
    assert hash_files(files) == hash_files(dict(reversed(files.items())))
    others = [{".param": b"a", ".bin": b"bc"}, {".param": b"ab"}, {".xml": b"ab", ".bin": b"c"}]
    assert len({hash_files(each) for each in (files, *others)}) == 4


def test_kills_cost_no_record_that_was_written(tmp_path):
    samples = (1.23456,) * 10_000  # a line of many pages
    text = msgspec.json.encode(made_up(wall_ms=samples)).decode()
    ended = run_python(KILL_WRITERS, tmp_path, text, cwd=tmp_path)
    assert not ended.stderr
    written = ended.stdout.split()
    kept = read_measurements("cpu", tmp_path)
    names = [each.architecture for each in kept]
    assert len(names) == len(set(names))
    assert set(names) >= set(written)
    # Killed after it wrote the record and before it said so.
    assert len(names) <= len(written) + WRITERS + KILLS
    assert all(each.wall_ms == samples for each in kept)
    torn = sum(not line.endswith(b"}") for line in read_lines(tmp_path / "cpu.jsonl"))
    assert torn > 0
