"""Help: an example for each command, and quickly."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest

from gnv2_nas import Architecture, __version__
from gnv2_nas.arch import list_presets, preset
from gnv2_nas.space import list_spaces
from tests.cli.command import COMMAND, gnv2_nas, run_installed

COMMANDS = (
    "search", "train", "evaluate", "profile", "modules", "report", "export", "devices", "spaces",
    "quality", "farm",
)  # fmt: skip
HEAVY = {"torch", "optuna", "sqlalchemy", "pandas", "plotly", "onnxruntime", "onnx", "numpy"}


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_shows_an_example(tmp_path, command):
    answer = run_installed(command, "--help", cwd=tmp_path)
    assert answer.code == 0
    assert answer.err == ""
    assert re.search(f"Examples?: gnv2-nas {command}", " ".join(answer.out.split()))
    assert not answer.imported & HEAVY
    assert list(tmp_path.iterdir()) == []


def test_the_overview_names_every_command(tmp_path):
    answer = run_installed("-h", cwd=tmp_path)
    assert answer.code == 0
    assert all(f" {command} " in answer.out for command in COMMANDS)
    assert not answer.imported & HEAVY


def test_without_a_command_the_overview_is_shown(tmp_path):
    answer = gnv2_nas(cwd=tmp_path)
    assert answer.code == 2
    assert all(f" {command} " in answer.out + answer.err for command in COMMANDS)
    assert "Traceback" not in answer.err


def test_the_version(tmp_path):
    answer = gnv2_nas("--version", cwd=tmp_path)
    assert (answer.code, answer.out) == (0, f"gnv2-nas {__version__}\n")


def test_spaces_are_listed_without_anything_heavy(tmp_path):
    answer = run_installed("spaces", cwd=tmp_path)
    assert answer.code == 0
    assert all(name in answer.out for name in list_spaces())
    assert not answer.imported & HEAVY
    rows = json.loads(gnv2_nas("spaces", "--json", cwd=tmp_path).out)
    assert [row["name"] for row in rows] == list_spaces()
    assert all(int(row["size"]) > 1 for row in rows)


def test_a_space_shows_its_genes(tmp_path):
    answer = run_installed("spaces", "tiny", cwd=tmp_path)
    assert answer.code == 0
    assert "base ghostnetv2-1.0" in answer.out
    assert "smallest:" in answer.out
    assert "dfc_kernel_h.stage4" in answer.out
    assert not answer.imported & HEAVY
    shown = json.loads(gnv2_nas("spaces", "tiny", "--json", cwd=tmp_path).out)
    assert shown["genes"]["resolution"] == [32, 48, 64]


def test_the_schema_of_spaces_is_json(tmp_path):
    schema = json.loads(gnv2_nas("spaces", "--schema", cwd=tmp_path).out)
    assert schema["$schema"].startswith("https://json-schema.org/")


def test_devices_are_listed(tmp_path):
    answer = run_installed("devices", cwd=tmp_path)
    assert (answer.code, answer.err) == (0, "")
    assert "onnxruntime" in answer.out
    assert not answer.imported & HEAVY
    listed = json.loads(gnv2_nas("devices", "--json", cwd=tmp_path).out)
    assert listed["cpu"]["threads"] == 1


def test_a_file_that_is_wrong_does_not_hide_the_others(tmp_path):
    for kind, name in (("profiles", "fast"), ("search_spaces", "mine")):
        (tmp_path / kind).mkdir()
        (tmp_path / kind / f"{name}.yaml").write_text("threads: 0\n")
    for command, kind, known in (
        ("devices", "profiles", "cpu"),
        ("spaces", "search_spaces", "tiny"),
    ):
        answer = gnv2_nas(command, cwd=tmp_path)
        assert answer.code == 0
        assert known in answer.out
        assert answer.err.startswith(f"left out: {kind}/")


@pytest.mark.parametrize("arguments", [("spaces",), ("spaces", "--json"), ("--help",)])
def test_an_output_that_takes_no_more_is_one_line(tmp_path, arguments):
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [COMMAND, *arguments], cwd=tmp_path, stdout=full, stderr=subprocess.PIPE, text=True,
            check=False,
        )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr == "error: standard output takes no more: No space left on device\n"


def test_presets_are_exported_by_name(tmp_path):
    name = list_presets()[0]
    answer = gnv2_nas("export", name, "--format", "json", cwd=tmp_path)
    assert (answer.code, answer.out) == (0, "")
    (file,) = tmp_path.iterdir()
    assert Architecture.from_json(file.read_bytes()) == preset(name)
