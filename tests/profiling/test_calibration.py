"""What a device is calibrated to, and when it is believed."""

from __future__ import annotations

import msgspec
import pytest

from gnv2_nas.profiling import calibration, measure
from gnv2_nas.profiling.calibration import calibrate, ensure_calibrated, read_calibration
from gnv2_nas.profiling.device import Device, DeviceProfile, open_device
from gnv2_nas.profiling.plan import Plan
from gnv2_nas.profiling.record import PANEL
from tests.profiling.networks import tiny_ghost


@pytest.fixture(scope="module")
def found():
    """Roughly: in six rounds, with every share of the progress."""
    shares = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(calibration, "PLAN", Plan(sessions=2, rounds=3, max_sessions=2))
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
    assert list(kept.log_ratios) == list(PANEL)
    assert kept.log_ratios[PANEL[0]] == pytest.approx(0, abs=1e-9)
    assert -1 < kept.log_ratios[PANEL[1]] < -0.05
    assert 0.5 < kept.reference_ms < 200
    assert 0 < kept.session_spread < 0.2
    assert (kept.sessions, kept.rounds) == (2, 6)


def test_it_is_done_once_and_kept(kept, here, monkeypatch):
    assert [path.name for path in here.iterdir()] == ["cpu.calibration.json"]
    again = open_device("cpu")
    assert again.calibration == kept
    monkeypatch.setattr(calibration, "calibrate", None)
    ensure_calibrated(again)


def test_milliseconds_are_in_its_terms(kept):
    (found,) = measure([tiny_ghost()], open_device("cpu"), seconds_per_network=0.2)
    assert found.ms == pytest.approx(found.ratio * kept.reference_ms)


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
            monkeypatch.setattr("gnv2_nas.profiling.fingerprint.usable_cores", lambda n=cores: n)
            found.add(calibration._key(device))
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
        name: Device("x", DeviceProfile("x", runtime=name)).panel
        for name in ("onnxruntime", "torch-compile")
    }
    assert {name: len(panel) for name, panel in panels.items()} == {
        "onnxruntime": len(PANEL), "torch-compile": 1,
    }  # fmt: skip
