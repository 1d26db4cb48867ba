"""Whether a device can load the files of other tools."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from gnv2_nas.errors import DeviceError, InputError, MeasurementError
from gnv2_nas.formats.foreign.network import ForeignNetwork, TimedNetwork
from gnv2_nas.runner.lock import Waiting

if TYPE_CHECKING:
    from gnv2_nas.devices.device import Device
    from gnv2_nas.devices.host import Host


def select_foreign(networks: Iterable[TimedNetwork]) -> list[ForeignNetwork]:
    """Return those of the networks that other tools wrote."""
    return [each for each in networks if isinstance(each, ForeignNetwork)]


def check_loads(networks: Iterable[TimedNetwork], device: Device, waiting: Waiting) -> None:
    """Load each file of another tool once and run it, before anything else is measured.

    This machine does so in a process of its own, because a runtime may crash on such a file.

    Args:
        networks: the networks; those of ours are passed over.
        device: an open device.
        waiting: receives a sentence when another process uses the machine.

    Raises:
        InputError: the runtime refuses a file, or crashes on it.
        DeviceError: another machine failed, perhaps because of the file.
    """
    foreign = select_foreign(networks)
    if not foreign:
        return
    files = [device.write(network) for network in foreign]
    with _trying_host(device) as host, host.turn(), host.shared(waiting):
        bench = host.open_bench(files)
        for number, network in enumerate(foreign):
            try:
                bench.load(number)
            except DeviceError as error:
                if host is device.host:
                    raise DeviceError(f"{network.name}: {error}") from None
                raise InputError(
                    f"{network.name}: {device.runtime.label} fails on it: {error}"
                ) from None
            except MeasurementError as error:
                raise InputError(f"{network.name}: {error}") from None


@contextmanager
def _trying_host(device: Device) -> Iterator[Host]:
    if not device.runs_here:
        yield device.host
        return
    from gnv2_nas.devices.remote_host import RemoteHost
    from gnv2_nas.devices.runner_program import python_runner
    from gnv2_nas.devices.transports.local import LocalTransport

    with tempfile.TemporaryDirectory() as folder:
        host = RemoteHost(
            device.name,
            device.runtime.label,
            python_runner(device.profile, sys.executable),
            LocalTransport(device.name, Path(folder)),
        )
        try:
            yield host
        finally:
            host.close()
