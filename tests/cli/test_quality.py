"""`gnv2-nas quality`: the list, a check that is killed and goes on, wrong input."""

from __future__ import annotations

import json
import os
import re
import signal
from pathlib import Path

import pytest

from gnv2_nas.quality import ESTIMATORS
from tests.cli.command import gnv2_nas, run_installed
from tests.forks import forks
from tests.search.spaces import SMALL, write_space
from tests.waiting import until

HEAVY = {"torch", "PIL", "optuna", "pandas"}
CHECK = (
    "quality", "check", "--data", "digits", "--space", "small.yaml", "--networks", "2",
    "--seeds", "2", "--epochs", "0.1", "--json",
)  # fmt: skip


def folder_with_space(folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    write_space(folder, SMALL)
    return folder


def journal(folder: Path) -> list[dict]:
    path = folder / "search_spaces" / "small.trust.jsonl"
    whole = path.read_text().splitlines(keepends=True) if path.exists() else []
    return [json.loads(line) for line in whole if line.endswith("\n")]


@pytest.fixture(scope="module")
def straight(tmp_path_factory) -> Path:
    """A folder in which a check ran through."""
    folder = folder_with_space(tmp_path_factory.mktemp("straight"))
    answer = gnv2_nas(*CHECK, cwd=folder)
    assert answer.code == 0, answer.err
    (folder / "out.json").write_text(answer.out)
    (folder / "err.txt").write_text(answer.err)
    return folder


def test_the_list_names_every_estimator_and_loads_nothing_heavy(tmp_path):
    answer = run_installed("quality", cwd=tmp_path)
    assert answer.code == 0
    for name in ESTIMATORS:
        assert f" {name}" in answer.out
    assert not answer.imported & HEAVY
    assert gnv2_nas("quality", "list", cwd=tmp_path).out == answer.out


def test_the_list_for_scripts(tmp_path):
    listed = json.loads(gnv2_nas("quality", "--json", cwd=tmp_path).out)
    assert list(listed) == list(ESTIMATORS)
    assert listed["supernet"]["is_accuracy"]
    assert not listed["zen"]["needs_data"]


@pytest.mark.parametrize("command", ["list", "check", "fit"])
def test_each_command_shows_an_example(tmp_path, command):
    answer = run_installed("quality", command, "--help", cwd=tmp_path)
    assert re.search(f"Examples?: gnv2-nas quality {command}", " ".join(answer.out.split()))
    assert not answer.imported & HEAVY


def test_a_check_keeps_its_panel_and_tells_what_it_does(straight):
    panel = json.loads((straight / "out.json").read_text())
    kept = json.loads((straight / "search_spaces" / "small.trust.json").read_text())
    assert kept == [panel]
    assert (panel["space"], panel["data"], len(panel["networks"])) == ("small", "digits", 2)
    assert all(len(network["accuracies"]) == 2 for network in panel["networks"])
    names = [each["spec"] for each in panel["estimators"]]
    assert names == [
        "params", "macs", "zen", "naswot", "synflow", "az-nas", "zico", "swap", "naswot+params",
    ]  # fmt: skip
    told = (straight / "err.txt").read_text()
    assert "2 networks of space small" in told
    assert "training 1 of 4" in told
    assert "kept in search_spaces/small.trust.json" in told


def test_killed_it_goes_on_with_the_trainings_that_are_left(straight, tmp_path):
    folder = folder_with_space(tmp_path / "killed")
    check = forks().start(*CHECK, cwd=folder)
    until(lambda: journal(folder))
    os.kill(check.pid, signal.SIGKILL)
    assert forks().wait(check) == -signal.SIGKILL
    first = journal(folder)
    assert 1 <= len(first) < 4
    answer = gnv2_nas(*CHECK, cwd=folder)
    assert answer.code == 0, answer.err
    assert f"continuing after {len(first)} finished trainings" in answer.err
    after = journal(folder)
    assert after[: len(first)] == first
    assert len({(each["network"], each["seed"]) for each in after}) == len(after) == 4
    # The trainings are those of a check that was never killed.
    whole = json.loads((straight / "out.json").read_text())
    assert [each["accuracies"] for each in json.loads(answer.out)["networks"]] == [
        each["accuracies"] for each in whole["networks"]
    ]
