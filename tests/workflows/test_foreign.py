"""Files of other tools in `gnv2-nas profile`: loaded in a process of its own, timed beside ours."""

from __future__ import annotations

import json
import sys
from functools import partial
from pathlib import Path

import msgspec
import numpy as np
import pytest
from onnx import helper

from gnv2_nas.cli.profile.command import print_profile
from gnv2_nas.devices.profile import read_profile
from gnv2_nas.devices.transports.local import LocalTransport
from gnv2_nas.errors import InputError
from gnv2_nas.formats.foreign.reading import read_foreign
from gnv2_nas.measurement import foreign, measure, open_device, plan
from gnv2_nas.measurement.foreign import check_loads
from gnv2_nas.runner.lock import ignore_waiting
from gnv2_nas.workflows.foreign import check_formats
from gnv2_nas.workflows.profile.run import ProfileRequest, run_profile
from tests.devices.remote import remote_device, set_up
from tests.formats.foreign.files import UINT8, save_conv, save_onnx, save_tflite
from tests.measurement.networks import tiny_ghost
from tests.measurement.test_reuse import calibration_of

node = helper.make_node


@pytest.fixture(autouse=True)
def _folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # fvcore, when it is imported
def test_a_file_is_timed_in_the_same_rounds_and_marked(capsys, monkeypatch):
    quick = partial(plan.MeasurementOptions, precision=1.0, seconds_per_network=0.3)
    monkeypatch.setattr(plan, "MeasurementOptions", quick)
    Path("ghost.json").write_text(tiny_ghost().to_json())
    save_conv(Path("pixels.onnx"), ["n", "h", "w", 3], dtype=UINT8)
    device = open_device("cpu")
    Path("profiles").mkdir()
    Path("profiles/cpu.calibration.json").write_bytes(msgspec.json.encode(calibration_of(device)))
    result = run_profile(ProfileRequest(("ghost.json", "pixels.onnx")).check())
    ours, theirs = json.loads(msgspec.json.encode(result.to_json()))
    assert (ours["foreign"], theirs["peak_activation_bytes"]) == (None, None)
    assert theirs["foreign"]["input"] == {
        "shape": [1, 224, 224, 3], "dtype": "uint8", "free": True
    }  # fmt: skip
    assert theirs["macs"] == 224 * 224 * 8 * 27
    assert theirs["latency"]["batch"] == ours["latency"]["batch"] != ""
    assert theirs["latency"]["architecture"] == theirs["id"] != ours["id"]
    assert theirs["latency"]["parity"] is None
    assert theirs["latency"]["ms"] > ours["latency"]["ms"]
    print_profile(result)
    table, said = capsys.readouterr()
    assert "pixels.onnx †" in table
    assert "pixels.onnx: input 1x224x224x3 uint8 (the file leaves the sides free)" in said
    history = run_profile(ProfileRequest(("pixels.onnx",), history=True).check())
    assert list(history.networks) == ["pixels.onnx"]


@pytest.mark.parametrize(
    "device", ["cpu", pytest.param("cpu-openvino", marks=pytest.mark.slow), "cpu-litert"]
)
def test_each_runtime_runs_the_files_that_it_reads(device, tmp_path):
    if device == "cpu-litert":
        paths = [save_tflite(tmp_path / "u8.tflite")]
    else:
        paths = [
            save_conv(tmp_path / "nchw.onnx", (1, 3, 512, 512)),  # its output has 2 million values
            save_conv(tmp_path / "u8.onnx", (1, 8, 8, 3), dtype=UINT8),
        ]
    networks = [read_foreign(str(path)) for path in paths]
    opened = open_device(device)
    check_loads(networks, opened, ignore_waiting)
    for network in networks:
        session = opened.runtime.load(opened.write(network), 1)
        given = session.image if device != "cpu-litert" else session.image.transpose(0, 2, 3, 1)
        assert (given.shape, str(given.dtype)) == (network.input.shape, network.input.dtype)
        assert np.isfinite(session.logits()).all()


def test_a_file_that_the_runtime_cannot_run_is_refused_in_one_line(tmp_path):
    sizes = {"by": np.array([99, 99, 999, 999])}
    odd, large = [node("Odd", ["x"], ["y"])], [
        node("Shape", ["x"], ["s"]), node("Mul", ["s", "by"], ["t"]),
        node("ConstantOfShape", ["t"], ["y"]),
    ]  # fmt: skip
    files = {
        save_onnx(tmp_path / "odd.onnx", odd, (1, 3, 8, 8), {}): "No Op registered for Odd",
        save_onnx(tmp_path / "large.onnx", large, (1, 3, 99, 99), sizes): "Failed to allocate",
        save_tflite(tmp_path / "odd.tflite", custom="Acme"): "unresolved custom op: Acme",
    }
    for path, said in files.items():
        device = open_device("cpu-litert" if path.suffix == ".tflite" else "cpu")
        with pytest.raises(InputError) as raised:
            check_loads([read_foreign(str(path))], device, ignore_waiting)
        assert str(raised.value).startswith(f"{path}: ")
        assert said in str(raised.value)
        assert "\n" not in str(raised.value)


def test_its_memory_is_measured_beside_that_of_ours(capsys):
    Path("ghost.json").write_text(tiny_ghost().to_json())
    save_conv(Path("pixels.onnx"), ["n", "h", "w", 3], dtype=UINT8)
    result = run_profile(ProfileRequest(("ghost.json", "pixels.onnx"), memory=True).check())
    ours, theirs = result.to_json()
    assert ours["foreign"] is theirs["memory_bytes"] is None
    # Its feature map alone has 8 channels of 224 x 224 float32.
    assert theirs["peak_memory_bytes"] > 224 * 224 * 8 * 4 > ours["peak_memory_bytes"]
    print_profile(result)
    assert "–" in capsys.readouterr().out


CRASHING = """
import os, sys
print('{"event": "ready", "protocol": 1}', flush=True)
for line in sys.stdin:
    if line.startswith("lock"):
        print('{"event": "locked"}', flush=True)
    if line.startswith("load"):
        os.kill(os.getpid(), 11)
"""


def test_a_runtime_that_crashes_on_a_file_ends_no_process_of_ours(tmp_path, monkeypatch):
    start, command = LocalTransport.start, [sys.executable, "-c", CRASHING]
    monkeypatch.setattr(LocalTransport, "start", lambda self, _: start(self, command))
    network = read_foreign(str(save_conv(tmp_path / "some.onnx")))
    with pytest.raises(InputError, match=r"some.onnx: onnxruntime fails on it: .*exit code 139"):
        check_loads([network], open_device("cpu"), ignore_waiting)


@pytest.mark.slow
def test_a_file_goes_to_another_machine_with_its_external_data(tmp_path):
    set_up(tmp_path / "device")
    device = remote_device(LocalTransport("board", tmp_path / "device"))
    path = save_conv(tmp_path / "out.onnx", save_as_external_data=True, size_threshold=0)
    network = read_foreign(str(path))
    try:
        check_loads([network], device, ignore_waiting)
        ours, theirs = measure([tiny_ghost(), network], device, seconds_per_network=0.2)
    finally:
        device.host.close()
    assert (theirs.architecture, theirs.batch) == (network.id, ours.batch)


def test_a_device_that_does_not_read_the_format_names_one_that_does(tmp_path):
    onnx, tflite = save_conv(Path("a.onnx")), save_tflite(Path("a.tflite"))
    Path("ghost.json").write_text(tiny_ghost().to_json())
    for device, path, others in (
        ("cpu-ncnn", onnx, "--device cpu or cpu-int8 or cpu-openvino"),
        ("cpu", tflite, "--device cpu-litert"),
    ):
        with pytest.raises(InputError, match=f"reads no {path.suffix} files; try {others}"):
            check_formats([read_foreign(str(path))], device, read_profile(device).runtime)
        with pytest.raises(InputError, match="reads no"):
            ProfileRequest(("ghost.json", str(path)), device).check()
    for option in ("layers", "predict"):
        with pytest.raises(InputError, match=f"--{option} needs the architecture"):
            ProfileRequest(("ghost.json", "a.onnx"), **{option: True}).check()
    assert foreign.select_foreign([tiny_ghost()]) == []
