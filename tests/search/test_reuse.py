"""Latencies that a search takes from records: on the real runtime, as briefly as possible."""

from __future__ import annotations

import math

import numpy as np
import pytest
from msgspec.structs import replace

from gnv2_nas.measurement.plan import MeasurementOptions
from gnv2_nas.measurement.records.reuse import identify
from gnv2_nas.measurement.records.store import read_measurements
from gnv2_nas.search.lane import DeviceLane
from gnv2_nas.search.loop import SearchLoop
from gnv2_nas.search.storage.earlier import read_earlier
from gnv2_nas.workflows.search.run import describe_reuse
from tests.measurement.networks import tiny_ghost, tiny_mobile
from tests.search.search_helpers import STORAGE, calibrated, session

BRIEFLY = MeasurementOptions(precision=math.inf, seconds_per_network=0.2, sessions=1)
"""Anything is precise enough."""


def lane_of(folder, *, reuse):
    (lane,) = calibrated(session(folder, objectives="quality,latency", reuse=reuse)).lanes
    return lane


def test_records_stand_for_networks_where_they_may(folder):
    fresh, willing = lane_of(folder, reuse=False), lane_of(folder, reuse=True)
    ghost, mobile = tiny_ghost(), tiny_mobile()
    first = fresh.measure([ghost], BRIEFLY, reusable=1)
    (again,) = fresh.measure([ghost], BRIEFLY, reusable=1)
    assert again.batch != first[0].batch
    found = willing.measure([mobile, ghost, ghost], BRIEFLY, reusable=2)
    assert [each.architecture for each in found] == [mobile.id, ghost.id, ghost.id]
    assert [each.reused for each in found] == [False, True, False]
    assert found[1].batch in (first[0].batch, again.batch)
    assert found[0].batch == found[2].batch not in (first[0].batch, again.batch)


def test_a_search_measures_only_what_no_earlier_one_measured(folder, monkeypatch):
    measure = DeviceLane.measure

    def measure_briefly(self, networks, *_, reusable=0, **__):
        return measure(self, networks, BRIEFLY, reusable=reusable)

    monkeypatch.setattr(DeviceLane, "measure", measure_briefly)
    monkeypatch.setattr(SearchLoop, "_select_again", lambda *_: {})  # it would pool latencies
    first, second = (
        calibrated(session(folder, study=name, trials=trials, objectives="quality,latency")).loop()
        for name, trials in (("first", 2), ("second", 1))
    )
    first.run()
    records = read_measurements("cpu")
    known = {each.architecture for each in records}
    assert first.reused == 0
    second.run()
    assert second.reused == len(second.trials) == len(known) - 1
    for trial in second.store.trials():
        assert trial.latency.reused
        assert facts(trial.latency) in list(map(facts, records))
    assert len(read_measurements("cpu")) == len(records)
    assert f"{len(second.front)} of the front rest on them" in describe_reuse(second)

    # What is compared with others shares their rounds, whatever records there are.
    (base,) = (each for each in second.trials.values() if each.searched)
    other = max((each for each in first.trials.values() if each.searched), key=lambda x: x.number)
    change = second.proposals.ask_for(dict(other.params), "change")
    second.evaluate([change], beside={"cpu": [base]})
    (measured,) = (each for each in second.trials.values() if each.origin == "change")
    assert measured.architecture.id in known
    assert not measured.latency.reused
    assert measured.latency.batch == second.trials[base.number].latency.batch
    second.evaluate([], beside={"cpu": list(second.front)})
    assert "the front was measured anew" in describe_reuse(second)
    check_what_the_models_learn_of(folder, [*first.trials.values(), *second.trials.values()])


def check_what_the_models_learn_of(folder, trials):
    networks = {each.architecture.id for each in trials}
    willing, unwilling = (
        calibrated(session(folder, study="second", objectives="quality,latency", reuse=reuse))
        for reuse in (True, False)
    )
    everything = read_earlier(STORAGE, "third", [identify(device(willing))])
    assert sorted(each.architecture.id for each in everything) == sorted(networks)
    found = read_earlier(STORAGE, "second", [identify(device(willing))])
    known = willing.make_encoder(set()).elsewhere()
    scores, latencies = known.values.values()
    own = trials[-1]
    assert latencies.tolist() == [
        pytest.approx(each.latency.ratio * own.latency.ms / own.latency.ratio) for each in found
    ]
    assert np.isnan(scores).all()
    assert len(known.features) == len(found)
    assert not len(unwilling.make_encoder(set()).elsewhere().features)
    device(willing).calibration = replace(device(willing).calibration, reference_ms=21.0)
    assert not read_earlier(STORAGE, "third", [identify(device(willing))])


def device(opened):
    return opened.lanes[0].device


def facts(latency):
    return latency.architecture, latency.batch, latency.ratio, latency.errors, latency.taken_at
