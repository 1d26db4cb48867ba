"""Files of other tools as networks, and which device reads them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import msgspec

from gnv2_nas.devices.profile import list_devices, read_profile
from gnv2_nas.errors import InputError, ProfileError
from gnv2_nas.formats.foreign.network import DEFAULT_SIDE, ForeignNetwork, TimedNetwork
from gnv2_nas.formats.foreign.reading import read_foreign
from gnv2_nas.measurement.foreign import select_foreign
from gnv2_nas.runtimes.foreign import READERS

MAX_BASELINES = 8
"""They are measured again beside every front."""


class StatedFile(msgspec.Struct, frozen=True):
    """A file to compare with."""

    network: ForeignNetwork
    accuracy: float | None
    """Per cent, as the user states it."""


def check_formats(networks: Iterable[TimedNetwork], device: str, runtime: str) -> None:
    """Check that a device's runtime reads the files of other tools.

    Args:
        networks: the networks; those of ours are passed over.
        device: name or path of its profile.
        runtime: its runtime.

    Raises:
        InputError: it does not; the message names profiles that do.
    """
    for network in select_foreign(networks):
        readers = READERS[network.suffix]
        if runtime not in readers:
            raise InputError(
                f"{network.name}: device {device!r} runs {runtime}, which reads no "
                f"{network.suffix} files; try --device {' or '.join(_find_profiles(readers))}"
            )


def read_baselines(
    texts: Sequence[str], sides: Sequence[int], runtimes: Mapping[str, str]
) -> tuple[StatedFile, ...]:
    """Read the files of `--baseline`.

    Args:
        texts: FILE or FILE=ACCURACY each.
        sides: resolutions of the space. A file that leaves height and width free gets the same
            one as stock GhostNetV2 1.0.
        runtimes: device that must read the files → its runtime.

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
    for device in runtimes:
        check_formats([each.network for each in found.values()], device, runtimes[device])
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
