"""`profile --sustained`: what it returns, prints and says while it runs."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from gnv2_nas.cli.profile.command import print_profile
from gnv2_nas.files.journal import Journal
from gnv2_nas.measurement import sustained
from gnv2_nas.workflows.events import TaskProgress
from gnv2_nas.workflows.profile.run import ProfileRequest, run_profile
from tests.measurement.networks import tiny_ghost, tiny_mobile


@pytest.fixture(autouse=True)
def _short(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sustained, "SESSION_SECONDS", 0.05)
    monkeypatch.setattr(sustained, "PROBING_SECONDS", 0.02)
    monkeypatch.setattr(sustained, "SECONDS_BETWEEN_REPORTS", 0.01)
    (tmp_path / "ghost.json").write_text(tiny_ghost().to_json())
    (tmp_path / "mobile.json").write_text(tiny_mobile().to_json())


def test_each_network_runs_for_its_time_one_after_the_other(capsys):
    request = ProfileRequest(("ghost.json", "mobile.json"), sustained="2m", pace="200fps")
    checked = request.check()
    assert (checked.sustained_seconds, checked.pace) == (120, 200)
    events = []
    result = run_profile(msgspec.structs.replace(checked, sustained_seconds=0.6), events.append)
    ghost, mobile = msgspec.json.decode(msgspec.json.encode(result.to_json()))
    assert (ghost["id"], mobile["network"]) == (tiny_ghost().id, "mobile.json")
    assert ghost["sustained"]["pace"] == 200
    assert [len(each["sustained"]["minutes"]) for each in (ghost, mobile)] == [2, 2]
    shares = [each.share for each in events if isinstance(each, TaskProgress)]
    assert shares == sorted(shares)
    assert any(0 < share < 0.5 for share in shares)
    assert any(0.5 < share < 1 for share in shares)
    kept = Journal(Path("profiles/cpu.sustained.jsonl"), sustained.SustainedMeasurement).read()
    assert kept == list(result.measurements)
    print_profile(result)
    table, said = capsys.readouterr()
    assert f"{ghost['sustained']['ratio']:.3f}" in table
    assert mobile["sustained"]["verdict"] in table
    assert "at 200 calls a second, cpu clock" in said
