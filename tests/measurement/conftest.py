""""""

from __future__ import annotations

import pytest

from gnv2_nas.arch import Architecture
from gnv2_nas.devices import Device
from gnv2_nas.measurement import Measurement, measure, open_device
from tests.measurement.networks import tiny_ghost, tiny_mobile


@pytest.fixture(scope="session")
def cpu() -> Device:
    return open_device("cpu")


@pytest.fixture(scope="session")
def timed() -> list[Architecture]:
    """A small network, the reference, and the small network once more."""
    from gnv2_nas.arch import preset

    return [tiny_ghost(), preset("ghostnetv2-1.0"), tiny_ghost(), tiny_mobile()]


@pytest.fixture(scope="session")
def measurements(cpu: Device, timed: list[Architecture]) -> list[Measurement]:
    """Of `timed`, quick and rough."""
    return measure(timed, cpu, precision=0.2, seconds_per_network=1.5)
