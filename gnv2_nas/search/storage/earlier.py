"""Latencies that other studies of a database measured under the present conditions."""

from __future__ import annotations

from collections.abc import Sequence

from gnv2_nas.errors import StudyError
from gnv2_nas.measurement.records.reuse import DeviceIdentity, is_comparable
from gnv2_nas.search.storage.store import Store
from gnv2_nas.search.storage.studies import open_study, study_names
from gnv2_nas.search.study.records import Trial

MAX_NETWORKS = 256
"""Networks in all, and trials of each study that are read."""
MAX_STUDIES = 32
"""Bounds the time for studies of other devices, which are opened for nothing."""


def read_earlier(storage: str, study: str, devices: Sequence[DeviceIdentity]) -> list[Trial]:
    """Return networks with their latest latencies, of the newest studies first, each network once.

    The conditions are those of `is_comparable`. Studies of other programs are left out.

    Args:
        storage: URL of the database.
        study: name of the study that is left out.
        devices: the devices.

    Returns:
        Trials of which only counts and latencies are known, the latter at least on one device.

    Raises:
        StorageError: the database cannot be reached, or refused.
    """
    here = {each.device: each for each in devices}
    profiles = {each.profile_hash for each in devices}
    found: dict[str, Trial] = {}
    others = [name for name in reversed(study_names(storage)) if name != study]
    for name in others[:MAX_STUDIES]:
        try:
            store = open_study(storage, name, newest=MAX_NETWORKS)
        except StudyError:
            continue
        if profiles.isdisjoint(each.content_hash for each in store.settings.devices):
            continue
        for trial in reversed(store.trials()):
            network = trial.architecture
            for label, latency in trial.measured_on.items():
                if label not in here or not is_comparable(latency, here[label]):
                    continue
                empty = dict.fromkeys(here)
                known = Trial(architecture=network, counts=trial.counts, latencies=empty)
                known = found.setdefault(network.id, known)
                if known.latencies[label] is None:
                    found[network.id] = known.with_latency(latency)
        if len(found) >= MAX_NETWORKS:
            break
    return list(found.values())[:MAX_NETWORKS]


def in_milliseconds_of(store: Store, trials: Sequence[Trial]) -> list[Trial]:
    """Return what `read_earlier` found, with latencies in the milliseconds of a study."""
    networks = {trial.architecture.id: trial for trial in trials}
    for device in trials[0].latencies if trials else ():
        measured = [latency for trial in trials if (latency := trial.latencies[device])]
        for latency in store.in_reference(measured):
            networks[latency.architecture] = networks[latency.architecture].with_latency(latency)
    return list(networks.values())
