"""What a device is calibrated to, and when it is believed."""

from __future__ import annotations

import math
import time

import msgspec
import numpy as np
import pytest

from gnv2_nas.devices.device import Device
from gnv2_nas.devices.panel import REFERENCE, reference_networks
from gnv2_nas.devices.profile import DeviceProfile
from gnv2_nas.measurement import calibration, measure
from gnv2_nas.measurement.calibration import (
    calibrate,
    ensure_calibrated,
    open_device,
    read_calibration,
)
from gnv2_nas.measurement.plan import MeasurementPlan
from tests.measurement.networks import tiny_ghost


@pytest.fixture(scope="module")
def found():
    """Roughly: in six rounds, with every share of the progress."""
    shares = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(calibration, "PLAN", MeasurementPlan(sessions=2, rounds=3, max_sessions=2))
        return calibrate(open_device("cpu"), progress=shares.append), shares


@pytest.fixture
def here(tmp_path, monkeypatch, found):
    """A working directory where calibrating takes no time."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(calibration, "calibrate", lambda _, **__: found[0])
    return tmp_path / "profiles"


@pytest.fixture
def kept(here):
    device = open_device("cpu")
    ensure_calibrated(device)
    return device.calibration


def test_it_knows_the_panel(kept):
    assert list(kept.log_ratios) == list(kept.session_spreads) == list(reference_networks())
    assert kept.log_ratios[REFERENCE] == 0
    assert -1 < kept.log_ratios["ghostnet-1.0"] < -0.05
    assert min(kept.log_ratios, key=kept.log_ratios.__getitem__) == "mobilenetv3-large-0.25 at 32"
    assert 0.5 < kept.reference_ms < 200
    assert 0 < min(kept.session_spreads.values()) <= max(kept.session_spreads.values()) < 0.3
    assert (kept.sessions, kept.rounds) == (2, 6)


def test_it_knows_how_sure_it_is(kept):
    covariance = np.array(kept.covariance)
    at = list(kept.log_ratios).index(REFERENCE)
    assert (np.delete(np.diag(covariance), at) > 0).all()
    assert (covariance[at] == 0).all()
    assert kept.reference_error > 0


def test_one_made_in_a_hurry_is_less_sure_and_not_kept(here, monkeypatch):
    asked = []
    monkeypatch.setattr(
        calibration, "calibrate", lambda _, *, max_seconds, **__: asked.append(max_seconds)
    )
    ensure_calibrated(open_device("cpu"), deadline=time.monotonic() + 20)
    ensure_calibrated(open_device("cpu"), deadline=time.monotonic() - 1)
    assert asked[1] < 0 < asked[0] < 20
    assert not here.exists()


@pytest.mark.parametrize("missing", ["covariance", "reference_error"])
def test_one_from_before_errors_were_kept_is_made_anew(kept, here, missing):
    path = here / "cpu.calibration.json"
    fields = msgspec.json.decode(path.read_bytes())
    del fields[missing]
    path.write_bytes(msgspec.json.encode(fields))
    assert open_device("cpu").calibration is None


def test_it_is_done_once_and_kept(kept, here, monkeypatch):
    assert [path.name for path in here.iterdir()] == ["cpu.calibration.json"]
    again = open_device("cpu")
    assert again.calibration == kept
    monkeypatch.setattr(calibration, "calibrate", None)
    ensure_calibrated(again)


def test_milliseconds_are_in_its_terms(kept):
    (found,) = measure([tiny_ghost()], open_device("cpu"), seconds_per_network=0.2)
    assert found.ms == pytest.approx(found.ratio * kept.reference_ms)
    assert math.log(found.ci95[1] / found.ms) > math.log(found.ratio_ci95[1] / found.ratio)


def test_a_machine_that_was_slow_when_calibrated_widens_milliseconds_downwards(kept):
    device = open_device("cpu")
    device.calibration = msgspec.structs.replace(kept, reference_ms=8 * kept.reference_ms)
    (found,) = measure([tiny_ghost()], device, seconds_per_network=0.2)
    down, up = math.log(found.ms / found.ci95[0]), math.log(found.ci95[1] / found.ms)
    assert down > up + 0.3
    assert math.log(found.ratio / found.ratio_ci95[0]) < down - 0.3


def test_another_profile_or_machine_is_calibrated_anew(kept, here):
    threads = Device("cpu", DeviceProfile("two threads", threads=2))
    assert read_calibration(threads) is None
    path = here / "cpu.calibration.json"
    path.write_bytes(msgspec.json.encode(msgspec.structs.replace(kept, key="another machine")))
    assert open_device("cpu").calibration is None


def test_cores_count_only_where_the_threads_would_use_them(monkeypatch):
    def keys(threads: int) -> set[str]:
        device, found = Device("x", DeviceProfile("x", threads=threads)), set()
        for cores in (1, 2, 64):
            monkeypatch.setattr("gnv2_nas.runner.machine.usable_cores", lambda n=cores: n)
            found.add(calibration.calibration_key(device))
        return found

    assert [len(keys(threads)) for threads in (1, 2, 8)] == [1, 2, 3]


@pytest.mark.parametrize("text", [b"", b"{", b"[1]", b'{"key": "x"}', b"\xff"])
def test_a_damaged_file_is_as_good_as_none(kept, here, text):
    (here / "cpu.calibration.json").write_bytes(text)
    assert open_device("cpu").calibration is None


def test_progress_ends_at_one(found):
    _, shares = found
    assert shares == sorted(shares)
    assert shares[-1] == 1


def test_a_runtime_of_slow_files_has_the_reference_alone():
    panels = {
        name: list(Device("x", DeviceProfile("x", runtime=name)).panel)
        for name in ("onnxruntime", "torch-compile")
    }
    assert panels == {"onnxruntime": list(reference_networks()), "torch-compile": [REFERENCE]}
