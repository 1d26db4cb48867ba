"""Measuring with a progress bar, for every command that does."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

from gnv2_nas.cli.console import say
from gnv2_nas.cli.live import LiveBar, is_live

if TYPE_CHECKING:
    from gnv2_nas.arch import Architecture
    from gnv2_nas.devices import Device, DeviceProfile
    from gnv2_nas.measurement import Measurement

_Result = TypeVar("_Result")


def calibrated_device(name: str) -> Device:
    """The device of that name, calibrated."""
    from gnv2_nas.measurement.calibration import open_device

    device = open_device(name)
    calibrate(device)
    return device


def calibrate(device: Device, deadline: float = math.inf) -> None:
    """Calibrate a device on this machine: once, then from its file.

    Args:
        deadline: of `time.monotonic`, for the whole work that the calibration is part of.

    Raises:
        OutOfTimeError: another process uses the machine until then.
    """
    from gnv2_nas.devices.lock import lock_deadline
    from gnv2_nas.measurement.calibration import ensure_calibrated

    say_shortage(device.name, device.profile)
    if device.calibration is None:
        with lock_deadline(deadline):
            with_progress(
                f"calibrating device {device.name}, once",
                lambda progress: ensure_calibrated(
                    device, progress, waiting=say, deadline=deadline
                ),
            )


def say_shortage(name: str, profile: DeviceProfile) -> None:
    """A line where a device asks for more cores than this process may use."""
    if short := profile.shortage():
        say(
            f"device {name}: {short}; latencies are those of threads that wait for each other: "
            "lower threads in its profile, or allow more cores"
        )


def measure_with_progress(
    architectures: Sequence[Architecture], device: Device, *, to_compare: bool = False
) -> list[Measurement]:
    """`measure`; with `to_compare`, long enough to tell networks 3 % apart."""
    from gnv2_nas.measurement.comparison import THOROUGH
    from gnv2_nas.measurement.protocol import measure

    how = THOROUGH if to_compare else {}
    return with_progress(
        "measuring in shared rounds",
        lambda progress: measure(architectures, device, progress=progress, waiting=say, **how),
    )


def with_progress(what: str, work: Callable[[Callable[[float], None]], _Result]) -> _Result:
    """Run `work` under a bar that it moves from 0 to 1."""
    if not is_live():
        # A bar in a log would be an empty line.
        return work(lambda _: None)
    with LiveBar(what) as bar:
        return work(bar.show)
