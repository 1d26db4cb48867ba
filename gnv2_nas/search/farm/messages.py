"""What a search asks of a device of a farm, and the answer: JSON, never a pickled object."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec

from gnv2_nas.arch import Architecture
from gnv2_nas.errors import (
    DeviceError,
    Gnv2NasError,
    InputError,
    MeasurementError,
    OutOfTimeError,
)
from gnv2_nas.formats.foreign.network import ForeignNetwork, TimedNetwork
from gnv2_nas.measurement.plan import MeasurementOptions
from gnv2_nas.measurement.records.record import Measurement
from gnv2_nas.search.engine.scorer_actor import in_one_line
from gnv2_nas.search.lane import SEARCHING
from gnv2_nas.search.study.settings import Settings

Failure = Literal["", "input", "time", "device", "measurement"]

_ERRORS: Mapping[Failure, type[Gnv2NasError]] = {
    "input": InputError,
    "time": OutOfTimeError,
    "device": DeviceError,
    "measurement": MeasurementError,
}
"""A class stands before its bases."""


class DeviceRequest(msgspec.Struct, frozen=True):
    """A method of `Lane` with its arguments, and those of `DeviceLane` itself."""

    work: Literal["identify", "get_ready", "prepare", "measure", "evaluate_metrics", "reach"]
    search: str
    """Who asks, for people."""
    settings: Settings
    seed: int
    reuse: bool
    networks: Sequence[str | ForeignNetwork] = ()
    """Architectures as JSON, and files of other tools."""
    options: MeasurementOptions = SEARCHING
    reusable: int = 0
    seconds: float | None = None
    """Seconds until the deadline of the measurement; infinity is null in JSON."""
    patience: float | None = None
    """Seconds that it may wait for other processes."""


class DeviceAnswer(msgspec.Struct, frozen=True):
    """The result of a request, or why there is none."""

    result: msgspec.Raw = msgspec.Raw(b"null")
    failure: Failure = ""
    text: str = ""
    said: tuple[str, ...] = ()
    """Sentences about waiting and reconnecting."""

    def check(self) -> None:
        """Raise here what the device's process has raised."""
        if self.failure:
            raise _ERRORS[self.failure](self.text)


class TimedBatch(msgspec.Struct, frozen=True):
    """Measurements with what they tell `MeasuringPace`."""

    measurements: list[Measurement]
    readied: tuple[int, float]


def write_networks(networks: Sequence[TimedNetwork]) -> list[str | ForeignNetwork]:
    """Return networks as a request carries them."""
    return [each.to_json() if isinstance(each, Architecture) else each for each in networks]


def read_networks(networks: Sequence[str | ForeignNetwork]) -> list[TimedNetwork]:
    """Return the networks of a request."""
    return [Architecture.from_json(each) if isinstance(each, str) else each for each in networks]


def write_failure(error: Exception, said: Sequence[str]) -> DeviceAnswer:
    """Return the answer for an error. What is no fault of a network is one of the device."""
    kinds = [name for name, kind in _ERRORS.items() if isinstance(error, kind)]
    return DeviceAnswer(
        failure=kinds[0] if kinds else "device", text=in_one_line(error), said=tuple(said)
    )
