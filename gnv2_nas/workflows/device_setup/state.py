"""What is known of a device since it was last checked: `profiles/NAME.device.json`.

A check asks the device what it is, compares the logits of stock networks on it with torch's, and
measures one network twice in the same rounds. The difference between these two, which is none in
truth, shows the noise of the device.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from gnv2_nas.arch import preset
from gnv2_nas.devices.device import Device
from gnv2_nas.devices.provision.probe import Probe, differences
from gnv2_nas.files.outputs import Kind, holds_fields
from gnv2_nas.files.writing import write_atomically
from gnv2_nas.measurement.records.record import PROFILES_FOLDER, Comparison, compare
from gnv2_nas.measurement.records.store import store_path
from gnv2_nas.workflows.events import Events, report_messages, report_task

NETWORKS = ("ghostnet-1.0", "ghostnetv2-1.0", "mobilenetv3-large-1.0")
"""Stock networks whose logits are compared; together they have every operator of the family."""
TWICE = "ghostnetv2-1.0"
"""The network that is measured twice."""
MIN_CHANGE = 0.05
"""The speed of one machine differs by a few per cent from day to day."""
STATE = Kind("the state of a device", lambda path: holds_fields(path, "probe", "networks"))


class NetworkState(msgspec.Struct, frozen=True):
    """One stock network on a device."""

    ms: float
    ci95: tuple[float, float]
    parity: float | None
    """Largest difference of its logits from torch's, relative to the largest logit; None where a
    benchmark program does not tell them."""


class DeviceState(msgspec.Struct, frozen=True):
    """What a check found."""

    probe: Probe
    engine: str
    """Engine and its version on the device."""
    networks: Mapping[str, NetworkState]
    same_network: Comparison
    """One network against itself."""
    checked_at: str
    """ISO 8601, UTC."""
    unstable: str = ""
    """Why a measurement did not reach its precision; "" if all did."""

    @property
    def noise_floor(self) -> float:
        """Relative difference below which two networks cannot be told apart."""
        return self.same_network.ci95[1] / self.same_network.ratio - 1

    def to_json(self) -> dict[str, Any]:
        """Return the facts for scripts."""
        return msgspec.structs.asdict(self) | {"noise_floor": self.noise_floor}

    @property
    def is_biased(self) -> bool:
        """Whether a network differs from itself beyond its own interval."""
        return self.same_network.verdict in {"FASTER", "SLOWER"}


def state_path(device: str) -> Path:
    return PROFILES_FOLDER / f"{device}.device.json"


def read_state(device: str) -> DeviceState | None:
    """Return what the last check found; None if there was none, or by another version."""
    try:
        return msgspec.json.decode(state_path(device).read_bytes(), type=DeviceState)
    except (OSError, msgspec.MsgspecError):
        return None


def write_state(device: str, state: DeviceState) -> None:
    """Keep what a check found.

    Raises:
        StorageError: the disk refused the file.
    """
    write_atomically(state_path(device), msgspec.json.encode(state))


def last_measured(device: str) -> str:
    """Return the day on which a device was last measured or checked, "2026-11-26"; "" if never."""
    paths = (store_path(device), state_path(device))
    times = [path.stat().st_mtime for path in paths if path.exists()]
    return datetime.fromtimestamp(max(times)).date().isoformat() if times else ""


def check_networks(device: Device, probe: Probe, events: Events) -> DeviceState:
    """Compare logits on the device with torch's, measure one network twice, and close the device.

    Raises:
        MeasurementError: the runtime refused a network, or computes something else than torch.
    """
    from gnv2_nas.measurement.plan import COMPARING
    from gnv2_nas.measurement.protocol import measure_networks

    names = (*NETWORKS, TWICE)
    architectures = [preset(name) for name in names]
    task = f"checking logits and noise of {device.name}"
    with closing(device.host), report_task(events, task) as report:
        measured = measure_networks(
            architectures, device, COMPARING, progress=report, waiting=report_messages(events)
        )
    networks = {
        name: NetworkState(each.ms, each.ci95, each.parity)
        for name, each in zip(NETWORKS, measured, strict=False)
    }
    return DeviceState(
        probe=probe,
        engine=measured[0].fingerprint.runtime,
        networks=networks,
        same_network=compare(measured[-1], measured[NETWORKS.index(TWICE)]),
        checked_at=measured[0].taken_at,
        unstable=next((each.reason for each in measured if not each.stable), ""),
    )


def list_changes(before: DeviceState, after: DeviceState) -> dict[str, tuple[str, str]]:
    """Return what changed between two checks: name → before and after.

    A latency changed if the two intervals do not overlap, and by more than `MIN_CHANGE`.
    """
    changes = dict(differences(before.probe, after.probe))
    if before.engine != after.engine:
        changes["engine"] = (before.engine, after.engine)
    for name, now in after.networks.items():
        old = before.networks.get(name)
        if old is None or (old.ci95[0] <= now.ci95[1] and now.ci95[0] <= old.ci95[1]):
            continue
        if abs(now.ms / old.ms - 1) > MIN_CHANGE:
            changes[name] = (f"{old.ms:.2f} ms", f"{now.ms:.2f} ms")
    return changes
