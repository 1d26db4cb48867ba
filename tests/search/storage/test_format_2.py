"""A study that was stored before format 3, when a study had one device."""

from __future__ import annotations

import msgspec

from gnv2_nas.search.storage.format import RESULT, STUDY, freeze_trial, read_beginning
from gnv2_nas.search.storage.studies import open_or_create
from gnv2_nas.search.study.settings import StudyDevice
from tests.search.study_helpers import (
    PROVENANCE,
    SETTINGS,
    append,
    as_optuna,
    candidate,
    finished,
    latency,
    opened,
)

URL = "sqlite:///studies.db"
HASH = "0123456789ab"


def test_its_device_its_latencies_and_what_was_confirmed_are_those_of_its_only_device(folder):
    settings = msgspec.structs.replace(SETTINGS, devices=(StudyDevice("cpu", HASH),))
    store = opened(URL, settings=settings)
    beginning = msgspec.to_builtins(store.beginning)
    del beginning["settings"]["devices"]
    old = {"device": "profiles/cpu.yaml", "device_hash": HASH}
    beginning["settings"] |= old
    study = as_optuna(URL)
    study.set_user_attr(STUDY, beginning | {"format": 2})
    stored = freeze_trial(candidate(0, sampled=finished(0)), settings.objectives)
    only = stored.user_attrs[RESULT].pop("latencies")["cpu"]
    stored.user_attrs[RESULT]["latency"] = only
    study.add_trial(stored)
    later = latency(0, ms=1.6)
    study.set_user_attr("gnv2_nas:latency:0", msgspec.to_builtins(later.drop_samples()))
    study.set_user_attr("gnv2_nas:confirmed", [0])

    again, has_trials = open_or_create(URL, "demo", settings, PROVENANCE)
    assert has_trials
    assert read_beginning(study.user_attrs).settings.devices[0].label == "cpu"
    (trial,) = again.trials()
    assert trial.latencies.keys() == {"cpu"}
    assert trial.latency.ratio == later.ratio
    assert again.record().confirmed == {0}
    assert append(again, 1) == [1]
    again.save_latencies([(trial, latency(0, ms=1.7))])
    again.save_confirmed("cpu", [0, 1])
    record = opened(URL, settings=settings).record()
    assert record.trials[0].latency.ratio == latency(0, ms=1.7).ratio
    assert record.confirmed == {0, 1}
