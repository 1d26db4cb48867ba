"""How latencies moved, from the records of a device."""

from __future__ import annotations

import msgspec
import pytest

from gnv2_nas.errors import InputError
from gnv2_nas.measurement.records.history import read_history
from gnv2_nas.measurement.records.record import ErrorParts
from gnv2_nas.measurement.records.store import append_measurements
from tests.measurement.networks import tiny_ghost, tiny_mobile
from tests.measurement.test_store import made_up

GHOST, MOBILE = tiny_ghost(), tiny_mobile()
NETWORKS = {"ghost": GHOST, "mobile": MOBILE}


def taken(day, ratio=0.2, **changes):
    return made_up(
        architecture=GHOST.id, taken_at=f"2026-01-{day:02}T12:00:00+00:00", ratio=ratio, rounds=30,
        errors=ErrorParts(own=0.002, own_sessions=0.002), batch=f"batch of {day}",
        profile_hash="a", **changes,
    )  # fmt: skip


def test_records_are_in_the_order_of_time_without_samples(tmp_path):
    append_measurements([taken(3), taken(1), made_up(7)], tmp_path)
    history = read_history(NETWORKS, "cpu", tmp_path)
    records = history.networks["ghost"].records
    assert [each.taken_at[8:10] for each in records] == ["01", "03"]
    assert all(each.wall_ms == () for each in records)
    assert history.unmeasured == ["mobile"]
    found = msgspec.to_builtins(history.to_json())
    assert found["networks"]["ghost"]["moved"]["verdict"] == "SAME"


def test_the_last_is_compared_with_the_first_under_its_conditions(tmp_path):
    upgraded = msgspec.structs.replace(taken(1).fingerprint, runtime="onnxruntime 1.32")
    records = [
        taken(1, 0.1), taken(2, 0.2, fingerprint=upgraded), taken(3, 0.15),
        taken(4, 0.22, fingerprint=upgraded), taken(5, 0.3, fingerprint=upgraded, calibration="b"),
        taken(6, 0.25, fingerprint=upgraded),
    ]  # fmt: skip
    append_measurements(records, tmp_path)
    network = read_history(NETWORKS, "cpu", tmp_path).networks["ghost"]
    assert [each.ratio for each in network.comparable] == [0.2, 0.22, 0.25]
    assert network.moved().ratio == pytest.approx(1.25)
    assert network.moved().verdict == "SLOWER"


def test_one_record_has_not_moved(tmp_path):
    append_measurements([taken(1)], tmp_path)
    assert read_history(NETWORKS, "cpu", tmp_path).networks["ghost"].moved() is None


def test_no_record_at_all_is_refused_with_what_to_do(tmp_path):
    append_measurements([made_up(1)], tmp_path)
    with pytest.raises(InputError, match=r"no measurement of ghost, mobile in .*leave --history"):
        read_history(NETWORKS, "cpu", tmp_path)
