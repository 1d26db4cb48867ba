"""Files of other tools as networks: which device runs them, and whether it can load them."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from gnv2_nas.devices.profile import list_devices, read_profile
from gnv2_nas.errors import DeviceError, InputError, MeasurementError, ProfileError
from gnv2_nas.formats.foreign.network import DEFAULT_SIDE, ForeignNetwork, TimedNetwork
from gnv2_nas.formats.foreign.reading import read_foreign
from gnv2_nas.runner.lock import Waiting
from gnv2_nas.runtimes.foreign import READERS

if TYPE_CHECKING:
    from gnv2_nas.devices.device import Device
    from gnv2_nas.devices.host import Host


MAX_BASELINES = 8
"""They are measured again beside every front."""


class StatedFile(msgspec.Struct, frozen=True):
    """A file to compare with."""

    network: ForeignNetwork
    accuracy: float | None
    """Per cent, as the user states it."""


def select_foreign(networks: Iterable[TimedNetwork]) -> list[ForeignNetwork]:
    """Return those of the networks that other tools wrote."""
    return [each for each in networks if isinstance(each, ForeignNetwork)]


def check_formats(networks: Iterable[TimedNetwork], device: str) -> None:
    """Check that a device's runtime reads the files of other tools.

    Args:
        networks: the networks; those of ours are passed over.
        device: name or path of a profile.

    Raises:
        InputError: it does not; the message names profiles that do.
    """
    runtime = read_profile(device).runtime
    for network in select_foreign(networks):
        readers = READERS[network.suffix]
        if runtime not in readers:
            raise InputError(
                f"{network.name}: device {device!r} runs {runtime}, which reads no "
                f"{network.suffix} files; try --device {' or '.join(_find_profiles(readers))}"
            )


def read_baselines(
    texts: Sequence[str], sides: Sequence[int], devices: Sequence[str]
) -> tuple[StatedFile, ...]:
    """Read the files of `--baseline`.

    Args:
        texts: FILE or FILE=ACCURACY each.
        sides: resolutions of the space. A file that leaves height and width free gets the same
            one as stock GhostNetV2 1.0.
        devices: names of the devices that must read the files.

    Raises:
        InputError: a file cannot be read, is given twice, or an accuracy is none.
    """
    if len(texts) > MAX_BASELINES:
        raise InputError(f"--baseline takes up to {MAX_BASELINES} files, but got {len(texts)}")
    side = min(sides, key=lambda each: abs(each - DEFAULT_SIDE))
    found: dict[str, StatedFile] = {}
    for text in texts:
        name, equals, stated = text.rpartition("=")
        alone = not equals or Path(text).exists()
        network = read_foreign(text if alone else name, side)
        each = StatedFile(network, None if alone else _parse_accuracy(stated, text))
        if (twin := found.get(each.network.id)) is not None:
            raise InputError(
                f"--baseline: {twin.network.name} and {network.name} are the same file; give it "
                "once"
            )
        found[each.network.id] = each
    for device in devices:
        check_formats([each.network for each in found.values()], device)
    return tuple(found.values())


def _parse_accuracy(stated: str, text: str) -> float:
    try:
        accuracy = float(stated.removesuffix("%"))
    except ValueError:
        accuracy = 0.0
    if not 0 < accuracy <= 100:
        raise InputError(
            f"--baseline {text}: an accuracy is above 0 and at most 100 %, such as "
            f"FILE=75.3, but got {stated!r}"
        )
    return accuracy


def _find_profiles(runtimes: Sequence[str]) -> list[str]:
    found = []
    for name in list_devices():
        try:
            profile = read_profile(name)
        except ProfileError:
            continue
        if profile.runtime in runtimes and profile.processor == "cpu":
            found.append(name)
    return found


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
