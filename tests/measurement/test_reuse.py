"""Which records stand for measuring again, and which do not, on the real runtime."""

from __future__ import annotations

import msgspec
import pytest

from gnv2_nas.devices.conditions import Conditions
from gnv2_nas.devices.device import Calibration
from gnv2_nas.devices.panel import REFERENCE
from gnv2_nas.measurement import Measurement, measure, open_device
from gnv2_nas.measurement.calibration import calibration_key
from gnv2_nas.measurement.conditions import MeasuredConditions
from gnv2_nas.measurement.records.record import ErrorParts
from gnv2_nas.measurement.records.reuse import find_reusable
from gnv2_nas.measurement.records.store import append_measurements
from tests.measurement.networks import tiny_ghost, tiny_mobile

PRECISION = 0.03
COOL = Conditions()
NARROW = ErrorParts(own=0.005, own_sessions=0.005, panel=0.005, calibration=0.05)


@pytest.fixture(scope="module")
def device():
    opened = open_device("cpu")
    opened.calibration = calibration_of(opened)
    return opened


@pytest.fixture(scope="module")
def record(device) -> Measurement:
    """Measured here and now; as precise as on a quiet machine."""
    (found,) = measure([tiny_ghost()], device, precision=1, seconds_per_network=0.3)
    return msgspec.structs.replace(
        found, errors=NARROW, stable=True, reason="", rounds=30, panel=None
    )


def calibration_of(device, reference_ms=5.0):
    return Calibration(
        key=calibration_key(device), reference_ms=reference_ms, reference_error=0.01,
        log_ratios={REFERENCE: 0.0}, covariance=[[0.0]], session_spreads={REFERENCE: 0.01},
        size_spread=0.05, sessions=2, rounds=10, taken_at="2026-01-31",
    )  # fmt: skip


def found(device, record, folder, **asked):
    append_measurements([record], folder)
    return find_reusable([tiny_ghost(), tiny_mobile()], device, **asked, folder=folder)


def test_a_record_of_the_present_conditions_stands_for_its_network(device, record, tmp_path):
    assert found(device, record, tmp_path, precision=PRECISION) == {record.architecture: record}


def test_load_governor_and_cores_beyond_the_threads_make_no_difference(device, record, tmp_path):
    there = msgspec.structs.replace(
        record.fingerprint, load=9.0, governor="powersave", cores=record.fingerprint.cores + 3
    )
    other = msgspec.structs.replace(record, fingerprint=there)
    assert found(device, other, tmp_path, precision=PRECISION) == {record.architecture: other}


@pytest.mark.parametrize(
    "changes",
    [
        {"architecture": "0" * 12},
        {"profile_hash": "another profile: precision, pace, cores …"},
        {"profile_hash": ""},  # of an earlier version
        {"files_hash": "written in another form"},
        {"calibration": "another calibration"},
        {"calibration": ""},
    ],
    ids=str,
)
def test_another_network_file_profile_or_calibration_is_not_mixed_in(
    device, record, tmp_path, changes
):
    other = msgspec.structs.replace(record, **changes)
    assert not found(device, other, tmp_path)


@pytest.mark.parametrize(
    "changes",
    [{"cpu": "Cortex-A76"}, {"runtime": "onnxruntime 1.0"}, {"huge_pages": True}, {"cores": 0}],
    ids=str,
)
def test_another_machine_or_runtime_version_is_not_mixed_in(device, record, tmp_path, changes):
    if "huge_pages" in changes:
        changes = {"huge_pages": not record.fingerprint.huge_pages}
    there = msgspec.structs.replace(record.fingerprint, **changes)
    assert not found(device, msgspec.structs.replace(record, fingerprint=there), tmp_path)


@pytest.mark.parametrize(
    "changes",
    [
        {"errors": msgspec.structs.replace(NARROW, own_sessions=0.02)},
        {"conditions": MeasuredConditions(COOL, COOL, changes=("it was throttled",))},
        {"rounds": 9},
    ],
    ids=str,
)
def test_a_record_that_is_not_precise_enough_is_measured_again(device, record, tmp_path, changes):
    other = msgspec.structs.replace(record, **changes)
    assert not found(device, other, tmp_path, precision=PRECISION)
    assert found(device, other, tmp_path) == {record.architecture: other}


def test_a_record_may_have_missed_a_higher_precision(device, record, tmp_path):
    other = msgspec.structs.replace(record, stable=False, reason="interval ±1%, ±0.4% requested")
    assert found(device, other, tmp_path, precision=PRECISION) == {record.architecture: other}


def test_the_narrowest_of_several_records_is_taken(device, record, tmp_path):
    wide = msgspec.structs.replace(
        record, batch="wide", errors=msgspec.structs.replace(NARROW, own=0.01)
    )
    append_measurements([wide, record], tmp_path)
    assert found(device, wide, tmp_path, precision=PRECISION) == {record.architecture: record}


def test_calibrating_anew_makes_records_of_before_useless(device, record, tmp_path):
    again = open_device("cpu")
    again.calibration = calibration_of(again, reference_ms=5.1)
    assert again.calibration.key == device.calibration.key
    assert not found(again, record, tmp_path)
    # A calibration that was stored and read is the same one.
    text = msgspec.json.encode(calibration_of(again))
    again.calibration = msgspec.json.decode(text, type=Calibration)
    assert found(again, record, tmp_path)
