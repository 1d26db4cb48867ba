"""Random networks of the pick's latency: drawn from the space, and chosen by measuring."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import msgspec

from gnv2_nas.arch import Architecture
from gnv2_nas.devices.device import Device
from gnv2_nas.errors import ArchitectureError, InputError
from gnv2_nas.evaluation.entrants import RANDOM, Contest, Entrant, draw_alike
from gnv2_nas.files.writing import write_atomically
from gnv2_nas.measurement.protocol import measure_networks
from gnv2_nas.search.lane import SEARCHING
from gnv2_nas.space import SearchSpace
from gnv2_nas.workflows.events import Events, report_messages, report_task


def add_random(
    contests: Sequence[Contest],
    space: SearchSpace,
    devices: Sequence[Device],
    seed: int,
    file: Path,
    events: Events,
) -> list[Contest]:
    """Return the contests with `RANDOM` random networks each.

    Of those that are drawn with about as many multiply-adds as the pick, the nearest to it in
    latency are chosen, on the device where they differ most. The choice is kept, so that a later
    run trains nothing new.

    Args:
        space: with the classes of the images.
        devices: open and calibrated.
        seed: of the draw.
        file: where choices are kept, JSON.

    Raises:
        MeasurementError: a device failed.
        InputError: the file is damaged.
    """
    chosen = _read(file)
    found = []
    for place, contest in enumerate(contests):
        names = [device.name for device in devices]
        key = " ".join([contest.pick.architecture.id, space.content_hash, str(seed), *names])
        if key not in chosen:
            drawn = draw_alike(space, contest, seed)
            chosen[key] = [each.to_json() for each in _nearest(drawn, contest, devices, events)]
            write_atomically(file, msgspec.json.encode(chosen))
        archs = map(Architecture.from_json, chosen[key])
        rivals = [
            Entrant(f"random {number} at {arch.resolution} px", arch, "random")
            for number, arch in enumerate(archs, start=RANDOM * place + 1)
        ]
        found.append(contest.with_rivals(rivals))
    return found


def _read(file: Path) -> dict[str, list[str]]:
    if not file.exists():
        return {}
    try:
        found = msgspec.json.decode(file.read_bytes(), type=dict[str, list[str]])
        for text in (text for texts in found.values() for text in texts):
            Architecture.from_json(text)
    except (msgspec.MsgspecError, ArchitectureError, UnicodeDecodeError) as error:
        raise InputError(
            f"{str(file)!r} does not hold the random networks that were chosen ({error}); delete "
            "it to choose again"
        ) from None
    return found


def _nearest(
    drawn: Sequence[Architecture], contest: Contest, devices: Sequence[Device], events: Events
) -> list[Architecture]:
    """Return the `RANDOM` networks whose latency is nearest to the pick's."""
    apart = dict.fromkeys((each.id for each in drawn), 0.0)
    for device in devices:
        task = f"measuring random networks for {contest.pick.label} on {device.name}"
        with report_task(events, task) as report:
            pick, *others = measure_networks(
                [contest.pick.architecture, *drawn], device, SEARCHING, progress=report,
                waiting=report_messages(events),
            )  # fmt: skip
        for arch, latency in zip(drawn, others, strict=True):
            apart[arch.id] = max(apart[arch.id], abs(math.log(latency.ratio / pick.ratio)))
    return sorted(drawn, key=lambda arch: apart[arch.id])[:RANDOM]
