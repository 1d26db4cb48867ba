"""The corner networks of a space, which a search measures first if a budget is a latency."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress

import msgspec

from gnv2_nas.arch import Architecture
from gnv2_nas.errors import DeviceError, InfeasibleBudgetError, OutOfTimeError
from gnv2_nas.measurement.records.record import Measurement
from gnv2_nas.runner.lock import lock_deadline
from gnv2_nas.search.lanes import Lanes
from gnv2_nas.search.pace import Deadline
from gnv2_nas.search.study.budgets import corner_networks
from gnv2_nas.workflows.search.request import CheckedSearch

FOR_CORNERS = 0.15
"""Largest share of the time limit for measuring the corner networks of a space."""

HOPELESS = 0.7
"""A latency budget below this share of the smallest network's time ends the search at once. Not 1,
because the smallest network is not always the fastest."""


class Corner(msgspec.Struct, frozen=True):
    """The smallest, centre or largest network of a space."""

    name: str
    architecture: Architecture
    latencies: Mapping[str, Measurement]
    """Device → latency, where a budget limits it."""


def measure_corners(checked: CheckedSearch, lanes: Lanes, deadline: Deadline) -> list[Corner]:
    """Return the corner networks of a space, measured where a budget is a latency.

    A device that fails is set aside.

    Raises:
        InfeasibleBudgetError: the smallest network is far too slow.
        MeasurementError: the last device failed, or a device refused a network.
    """
    networks, measured = corner_networks(checked.space), dict[str, Sequence[Measurement]]()
    for lane in lanes.active:
        if not checked.settings.on(lane.name).limits_of("latency"):
            continue
        # Another process may measure all the time: what an earlier run found is reported still.
        with suppress(OutOfTimeError), lock_deadline(deadline.at):
            try:
                measured[lane.name] = lane.measure(
                    list(networks.values()),
                    deadline=deadline.within(FOR_CORNERS),
                    reusable=len(networks),
                )
            except DeviceError as error:
                lanes.set_aside(lane.name, error)
    for device, latencies in measured.items():
        _refuse_hopeless(checked, device, latencies[0])
    return [
        Corner(name, arch, {device: each[n] for device, each in measured.items()})
        for n, (name, arch) in enumerate(networks.items())
    ]


def _refuse_hopeless(checked: CheckedSearch, device: str, smallest: Measurement) -> None:
    for budget in checked.settings.on(device).limits_of("latency"):
        if budget.limit < HOPELESS * smallest.ci95[0]:
            raise InfeasibleBudgetError(
                f"no network of space {checked.space.name!r} can meet {budget.text}; nearest is "
                f"{smallest.ms:.2f} ms, its smallest network on {device!r}: raise the budget or "
                "choose a smaller space"
            )
