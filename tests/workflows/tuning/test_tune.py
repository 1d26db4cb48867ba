"""Tuning a device: which form wins, on a device whose speeds are known and on this machine."""

from __future__ import annotations

import math
import time
from pathlib import Path

import pytest
from msgspec.structs import replace

from gnv2_nas.devices import DeviceProfile, read_profile
from gnv2_nas.devices.transports.local import LocalTransport
from gnv2_nas.errors import InputError, MeasurementError
from gnv2_nas.formats.ncnn.writer import FORM as NCNN_FORM
from gnv2_nas.formats.onnx.writer import FORM as ONNX_FORM
from gnv2_nas.graph.passes.form import FileForm
from gnv2_nas.measurement import open_device
from gnv2_nas.measurement.conditions import ConditionsWatch
from gnv2_nas.measurement.forms import FormComparison, FormRatio, compare_forms
from gnv2_nas.workflows.tuning import tune
from gnv2_nas.workflows.tuning.choice import choose_finalists, decide, draw_networks, neighbours
from tests.devices.remote import remote_device, set_up
from tests.workflows.tuning.simulated_device import NETWORKS, simulated_device

FOUR, UNFUSED = FileForm(channel_multiple=4), FileForm(fuse_up_to=0)
BOTH = FileForm(channel_multiple=4, fuse_up_to=0)
SECONDS = {"ghost": 0.004, "mobile": 0.001}


def compare(device, forms, **how):
    how = {"seed": 0, "deadline": math.inf} | how
    return compare_forms(device, NETWORKS, forms, **how)


def factors(given):
    """Seconds of a file: those of the network times the factors of the form's options."""

    def speed(name, form):
        options = [FileForm(channel_multiple=form.channel_multiple)]
        options.append(FileForm(fuse_up_to=form.fuse_up_to))
        return SECONDS[name] * math.prod(given.get(option, 1.0) for option in options)

    return speed


def row(form, ratio, error=0.002, **networks):
    logs = {name: math.log(each) for name, each in (networks or {"one": ratio}).items()}
    return FormRatio(form, logs, dict.fromkeys(logs, error))


def stage(*rows, **how):
    return FormComparison(rows, row(FileForm(), 1.0), 2, **{"rounds": 20} | how)


def test_ratios_are_those_of_the_device():
    device = simulated_device([FOUR, UNFUSED], factors({FOUR: 0.9, UNFUSED: 1.2}))
    four, unfused = compare(device, [FOUR, UNFUSED]).ratios
    assert four.ratio == pytest.approx(0.9, rel=0.02)
    assert four.ci95()[0] < 0.9 < four.ci95()[1]
    assert unfused.of("ghost")[0] == pytest.approx(1.2, rel=0.02)


def test_a_form_that_gives_the_same_file_is_not_measured():
    device = simulated_device([UNFUSED], factors({UNFUSED: 0.8}))
    found = compare(device, [UNFUSED, ONNX_FORM])
    # tiny_mobile has no Ghost modules. Each network twice in the built-in form, and one other file.
    assert device.host.benches == [2 * 2 + 1]
    unfused, same = found.ratios
    assert (unfused.logs["mobile"], unfused.errors["mobile"]) == (0, 0)
    assert unfused.ratio == pytest.approx(math.sqrt(0.8), rel=0.02)
    assert same.ratio == 1
    assert found.again.errors["mobile"] > 0


def test_a_form_that_the_device_refuses_is_left_out():
    device = simulated_device([FOUR, UNFUSED], factors({UNFUSED: 0.9}), refused=[FOUR])
    four, unfused = compare(device, [FOUR, UNFUSED]).ratios
    assert four.refused == "the engine knows no such layer"
    assert unfused.ratio < 1
    device = simulated_device([FOUR], factors({}), refused=[FileForm()])
    with pytest.raises(MeasurementError, match="no such layer"):
        compare(device, [FOUR])


@pytest.mark.parametrize("remote", [False, True])
def test_a_device_gives_ratios_with_intervals(remote, tmp_path):
    """This process, and another one behind a transport."""
    set_up(tmp_path)
    device = remote_device(LocalTransport("board", tmp_path)) if remote else open_device("cpu")
    try:
        found = compare(device, [FOUR], deadline=time.monotonic() + 0.5)
    finally:
        device.host.close()
    for each in (*found.ratios, found.again):
        low, high = each.ci95()
        assert 0 < low < each.ratio < high


@pytest.fixture
def board(monkeypatch, tmp_path):
    """Returns a function that tunes the device `board` of known speeds."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tune, "draw_networks", lambda _: NETWORKS)
    Path("profiles").mkdir()
    path = Path("profiles/board.yaml")

    def run(given, text="description: mine\n"):
        path.write_text(text)
        forms = [*neighbours(ONNX_FORM), BOTH]
        device = simulated_device(forms, factors(given), profile=read_profile("board"))
        monkeypatch.setattr(tune, "open_device", lambda _: device)
        messages = []
        found = tune.run_tune(tune.TuneRequest("board").check(), messages.append)
        texts = [each.text for each in messages if hasattr(each, "text")]
        return found, path.read_text(), texts

    return run


def test_the_faster_form_is_written_with_what_was_measured(board):
    found, text, messages = board({FOUR: 0.9, UNFUSED: 0.95})
    assert found.form == BOTH  # the combination of what was faster alone
    # Padded to 4 or not at all, `mobile` is one file, which is as fast as the built-in one.
    assert found.chosen.ratio == pytest.approx(math.sqrt(0.9 * 0.95), rel=0.02)
    assert read_profile("board").form == BOTH
    assert f"devices tune board`, {found.taken_at[:10]}" in text
    assert f"# {found.chosen.ratio:.3f} (" in text
    assert "board is calibrated again" in messages[-1].replace("differ from now on: it", "board")
    assert found.to_json()["confirmed"]["forms"]


def test_the_built_in_form_stays_unless_it_is_beaten(board):
    found, text, messages = board({FOUR: 1.1, UNFUSED: 0.999})
    assert found.form == FileForm()
    assert text == "description: mine\n"
    assert messages == ["profiles/board.yaml: unchanged, its form is built-in"]


def test_a_form_from_before_that_is_not_faster_is_removed(board):
    before = "description: mine\nform: {channel_multiple: 4, fuse_up_to: 0}\n"
    found, text, messages = board({}, before)
    assert BOTH in [each.form for each in found.screened.ratios]
    assert text == "description: mine\n"
    assert "(before: channels in multiples of 4, Ghost modules not fused)" in messages[0]


def test_finalists_are_the_best_and_the_combination_of_all_that_were_faster():
    faster = stage(row(FOUR, 0.9), row(UNFUSED, 0.95), row(FileForm(channel_multiple=8), 0.97))
    assert choose_finalists(faster) == [FOUR, BOTH]
    assert choose_finalists(stage(row(FOUR, 0.98, error=0.05), row(UNFUSED, 1.2))) == [FOUR]
    assert choose_finalists(stage(row(FOUR, 0.995), row(UNFUSED, 1.2))) == []


def test_only_a_gain_beyond_its_interval_decides_and_no_network_may_lose():
    assert decide(stage(row(FOUR, 0.95))) == FOUR
    assert decide(stage(row(FOUR, 0.95, error=0.04))) == FileForm()
    assert decide(stage(row(FOUR, 0.993, error=0.001))) == FileForm()
    assert decide(stage(row(FOUR, 0, one=0.8, other=1.02))) == FileForm()
    assert decide(stage(row(BOTH, 0, one=0.8, other=1.02), row(FOUR, 0.97))) == FOUR


def test_an_unsteady_device_decides_nothing(board, monkeypatch):
    assert stage(row(FOUR, 0.8), rounds=3).doubts
    finish = ConditionsWatch.finish
    monkeypatch.setattr(
        ConditionsWatch, "finish", lambda watch: replace(finish(watch), changes=("it got hot",))
    )
    before = "description: mine\nform:\n  channel_multiple: 1\n"
    found, text, messages = board({FOUR: 0.9}, before)
    assert text == before
    assert found.doubts == ("it got hot",)
    assert messages == ["profiles/board.yaml: unchanged, its form is channels not padded"]


def test_of_two_finalists_each_needs_a_wider_interval():
    nearly = row(FOUR, 0.98, error=0.0095)
    assert decide(stage(nearly)) == FOUR
    assert decide(stage(nearly, row(UNFUSED, 1.1))) == FileForm()


@pytest.mark.parametrize("built_in", [ONNX_FORM, NCNN_FORM])
def test_neighbours_differ_in_one_option(built_in):
    found = neighbours(built_in)
    assert len(found) == len(set(found)) <= 9
    for form in found:
        assert form.over(built_in) != built_in
        assert sum(value is not None for value in (
            form.channel_multiple, form.fuse_up_to, form.split_depthwise, form.sink_concats
        )) == 1  # fmt: skip


def test_the_networks_are_the_same_for_a_seed_and_give_every_pass_something_to_do():
    assert draw_networks(1) == draw_networks(1)
    assert draw_networks(1) != draw_networks(2)
    blocks = [block for arch in draw_networks(0).values() for block in arch.blocks]
    assert {block.ghost1.ratio for block in blocks} == {2, 3}


def test_a_device_whose_files_have_one_form_is_not_tuned():
    with pytest.raises(InputError, match="runtime 'torch' have one form only; there is nothing"):
        tune.TuneRequest("cpu-torch").check()


def test_a_profile_with_a_form_for_such_files_is_refused():
    with pytest.raises(InputError, match="leave `form` out"):
        simulated_device([], factors({}), profile=DeviceProfile("x", runtime="torch", form=FOUR))


def test_a_new_device_is_tuned_if_its_processor_family_was_never_measured(board, monkeypatch):
    board({})
    tuned = []
    monkeypatch.setattr(tune, "run_tune", lambda checked, _: tuned.append(checked.request.device))
    device = tune.open_device("board")
    here = device.fingerprint()
    for vectors in ("avx512f", "asimd"):
        machine = replace(here, system="Linux 6.1 x86_64", vectors=vectors)
        monkeypatch.setattr(device.host, "fingerprint", lambda machine=machine: machine)
        tune.tune_unknown_family("board")
        assert tuned == ([] if vectors == "avx512f" else ["board"])


def test_a_device_that_cannot_be_tuned_is_set_up_all_the_same(board, monkeypatch):
    board({})
    monkeypatch.setattr(tune, "needs_tuning", lambda *_: True)
    monkeypatch.setattr(tune, "run_tune", fail)
    messages = []
    assert tune.tune_unknown_family("board", messages.append) is None
    assert messages[-1].text == "board was set up, but not tuned: too hot"


def fail(*_):
    raise MeasurementError("too hot")
