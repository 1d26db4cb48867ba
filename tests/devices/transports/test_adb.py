"""adb keeps the contract of transports; each failure has its line."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import nullcontext

import pytest

from gnv2_nas.devices.transports.adb import AdbTransport
from gnv2_nas.errors import ConnectionLostError, DeviceError, InputError
from tests.devices.adb_daemon import AdbDaemon
from tests.devices.transports.transport_contract import TransportContract


@pytest.fixture(scope="session")
def transport_to_phone(running_phone) -> AdbTransport:
    return AdbTransport("box", running_phone.serial)


@pytest.fixture
def connected(phone, transport_to_phone) -> Iterator[AdbTransport]:
    """The same transport for all tests; each finds an empty folder."""
    yield transport_to_phone
    transport_to_phone.remove(["."])


class TestAdbTransport(TransportContract):
    @pytest.fixture
    def transport(self, connected):
        return connected

    @pytest.fixture
    def full_disk(self, phone, monkeypatch):
        monkeypatch.setattr(phone, "room", 1 << 20)
        return nullcontext()


def test_the_only_device_needs_no_serial(phone):
    transport = AdbTransport("box")
    assert transport.folder == f"{phone.folder}/gnv2-nas/box"
    assert transport.describe() == f"adb {phone.serial}"


def test_a_cut_connection(connected, phone):
    with connected.start(["cat"]) as running:
        phone.cut()
        with pytest.raises(ConnectionLostError, match=f"connection to adb {phone.serial} was cut"):
            list(running.lines())
    assert connected.run(["echo", "again"], timeout=20).output == b"again\n"


@pytest.fixture
def second(phone, tmp_path) -> Iterator[AdbDaemon]:
    with_key = AdbDaemon(tmp_path, authorized=False)
    subprocess.run(["adb", "connect", with_key.serial], check=False, stdout=subprocess.DEVNULL)
    yield with_key
    subprocess.run(["adb", "disconnect", with_key.serial], check=False, stdout=subprocess.DEVNULL)
    with_key.stop()


def test_two_devices_and_no_serial(phone, second):
    with pytest.raises(InputError, match=rf"several devices .*{phone.serial}.* name one"):
        AdbTransport("box").run(["true"], timeout=20)


def test_a_device_that_has_not_allowed_this_machine(second):
    with pytest.raises(DeviceError, match=f"adb {second.serial}: it has not allowed this machine"):
        AdbTransport("box", second.serial).run(["true"], timeout=20)


def test_a_device_that_is_not_connected(phone):
    with pytest.raises(DeviceError, match="adb R58M123: it is not connected; plug it in"):
        AdbTransport("box", "R58M123").run(["true"], timeout=20)


def test_an_old_android(phone, tmp_path):
    old = AdbDaemon(tmp_path, features=b"cmd")
    with pytest.raises(DeviceError, match="Android 7 or later"):
        AdbTransport("box", old.serial).run(["true"], timeout=20)
    subprocess.run(["adb", "disconnect", old.serial], check=True, stdout=subprocess.DEVNULL)
    old.stop()
