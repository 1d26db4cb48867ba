"""Peak resident memory of networks on a device, see `runner.peak_memory`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from gnv2_nas.arch import DFC, Architecture, GhostBlock, GhostModule, MobileBlock
from gnv2_nas.errors import InputError
from gnv2_nas.measurement.reconnect import use_device
from gnv2_nas.runner.lock import DeviceLock, Waiting, ignore_waiting
from gnv2_nas.runner.peak_memory import is_available
from gnv2_nas.runner.sessions import ENGINES

if TYPE_CHECKING:
    from gnv2_nas.devices.device import Device
    from gnv2_nas.devices.host import Bench
    from gnv2_nas.devices.profile import DeviceProfile
    from gnv2_nas.formats.foreign.network import TimedNetwork

MINIMAL = Architecture(
    blocks=(
        GhostBlock(12, 8, stride=2, se_channels=4, ghost1=GhostModule(dfc=DFC())),
        MobileBlock(16, 8, kernel=5, se_channels=4, activation="hard_swish"),
    ),
    stem_channels=8, conv_channels=24, head_channels=16, activation="hard_swish", resolution=32,
    num_classes=5,
)  # fmt: skip
"""Has next to no weights, and all kinds of operators: it brings the runtime's code to memory."""


def check_tells_memory(name: str, profile: DeviceProfile) -> None:
    """Check, as far as is known without the device, that it tells the memory of a network.

    Raises:
        InputError: it does not.
    """
    here = profile.transport == "local"
    if profile.benchmark is not None:
        why = f"it runs {profile.benchmark.kind}"
    elif profile.runner == "native" and not here:
        why = "it runs the native runner"
    elif profile.processor != "cpu":
        why = f"it runs networks on {profile.processor}, which has a memory of its own"
    elif profile.runtime not in ENGINES:
        why = f"it runs {profile.runtime}"
    elif here and not is_available():
        why = "it does not run Linux"
    else:
        return
    raise InputError(
        f"device {name!r} does not tell peak memory, because {why}: our Python runner tells it, on "
        f"processors under Linux, with {', '.join(ENGINES)}"
    )


def measure_peak_memory(
    networks: Sequence[TimedNetwork], device: Device, waiting: Waiting = ignore_waiting
) -> list[int]:
    """Return the peak resident memory of each network, in bytes.

    Each runs in a process of its own, alone on the device.

    Raises:
        InputError: the device does not tell it.
        MeasurementError: the runtime refused a network, or the device failed.
        OutOfTimeError: another process measured for longer than `lock_deadline` allows.
    """
    check_tells_memory(device.name, device.profile)
    with DeviceLock.shared(waiting):
        files = [device.write(network) for network in (MINIMAL, *networks)]

    def measure(bench: Bench) -> list[int]:
        return [bench.peak_memory(number, 0) for number in range(1, len(files))]

    return use_device(device.host, waiting, lambda: device.host.open_bench(files), measure)
