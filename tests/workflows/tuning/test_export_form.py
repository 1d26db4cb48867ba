"""An exported file has the form of the device it is for, and says so."""

from __future__ import annotations

from pathlib import Path

import pytest

import gnv2_nas as gn
from gnv2_nas.errors import InputError
from gnv2_nas.graph.passes.form import FileForm
from gnv2_nas.runtimes.base import get_runtime
from gnv2_nas.workflows.export import ExportRequest
from gnv2_nas.workflows.tuning.export_form import ExportForm, find_form
from tests.measurement.networks import tiny_ghost
from tests.search.search_helpers import STORAGE, session

FOUR = FileForm(channel_multiple=4)
PROFILE = Path("profiles/board.yaml")
TUNED = "description: mine\nform: {channel_multiple: 4}\n"


@pytest.fixture(autouse=True)
def _working_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    PROFILE.parent.mkdir()
    PROFILE.write_text(TUNED)


@pytest.fixture
def study(tmp_path):
    """The name of a trial of a study that measures on `board`."""
    session(tmp_path, devices=("board",), objectives="quality,latency")
    return "demo:0"


def form_of(trial, runtime="onnxruntime"):
    return find_form("", trial, STORAGE, runtime)


def test_the_file_of_a_device_has_its_form_and_message_and_card_say_so():
    PROFILE.write_text(f"{TUNED}runtime: ncnn\n")
    messages = []
    gn.export(tiny_ghost(), device="board", output="net", events=messages.append)
    written = {suffix: Path(f"net{suffix}").read_bytes() for suffix in (".param", ".bin")}
    assert written == get_runtime("ncnn", form=FOUR).write(tiny_ghost())
    assert written != get_runtime("ncnn").write(tiny_ghost())
    told = "channels in multiples of 4, for device board"
    assert f"form of the file: {told}" in [getattr(each, "text", "") for each in messages]
    assert f"| form of the files | {told} |" in Path("net.md").read_text()


def test_a_trial_has_the_form_that_its_study_measured(study):
    assert form_of(study) == ExportForm(FOUR, "board")
    assert form_of(study, "litert") == ExportForm()  # the device runs no such file


def test_a_profile_that_is_no_longer_that_of_the_study_is_told(study):
    PROFILE.write_text("description: mine\nform: {channel_multiple: 8}\n")
    changed = form_of(study)
    assert changed.form == FileForm(channel_multiple=8)
    assert changed.note == "the profile of device board was changed since the study began"
    PROFILE.unlink()
    assert form_of(study).form == FileForm()
    assert "there is no profile of device board" in form_of(study).note


def test_networks_of_no_study_have_the_built_in_form(tmp_path):
    session(tmp_path, objectives="quality,macs", devices=("board",))
    for network in ("demo:0", "ghostnetv2-1.0", "trained.safetensors", tiny_ghost()):
        assert form_of(network) == ExportForm()


@pytest.mark.parametrize(
    ("device", "asked", "problem"),
    [
        ("board", "tflite", "board runs 'onnxruntime', which reads 'onnx' files, but got --format"),
        ("board", "json", "but got --format json; leave one of them out"),
        ("cpu-torch", "", "files of runtime 'torch' are not exported; leave --device out"),
        ("bord", "", "unknown device 'bord'; did you mean 'board'"),
    ],
)
def test_a_device_that_does_not_fit_is_refused(device, asked, problem):
    with pytest.raises(InputError, match=problem):
        ExportRequest("ghostnetv2-1.0", asked, device=device).check()
