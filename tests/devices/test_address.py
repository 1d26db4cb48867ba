"""URLs of devices."""

from __future__ import annotations

import pytest

from gnv2_nas.devices.address import Address, parse_url
from gnv2_nas.errors import InputError


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("ssh://raspberrypi.local", Address("ssh", "raspberrypi.local")),
        ("ssh://pi@10.0.0.7:2222/", Address("ssh", "pi@10.0.0.7:2222")),
        ("SSH://my_alias", Address("ssh", "my_alias")),
        ("ssh://pi@[fe80::1%eth0]:22", Address("ssh", "pi@[fe80::1%eth0]:22")),
        ("adb://", Address("adb")),
        ("adb://emulator-5554", Address("adb", serial="emulator-5554")),
        ("adb://192.168.1.5:5555", Address("adb", serial="192.168.1.5:5555")),
    ],
)
def test_urls_are_read(url, address):
    assert parse_url(url) == address


@pytest.mark.parametrize(
    "url",
    [
        "", "raspberrypi", "pi@raspberrypi", "http://pi", "ssh:/pi", "ssh://", "ssh://@pi",
        "ssh://pi:0", "ssh://pi:99999", "ssh://pi:ssh", "ssh://pi/home", "ssh://pi:secret@host",
        "ssh://-oProxyCommand=x", "ssh://-l@host", "ssh://a b", "ssh://pi;reboot", "ssh://$(id)",
        "ssh://pi\nx", "adb://-s", "adb://a b", "adb://x;y",
    ],
)  # fmt: skip
def test_other_texts_are_refused(url):
    with pytest.raises(InputError, match=r"a device is ssh://\[user@\]host|from 1 to 65535"):
        parse_url(url)


@pytest.mark.parametrize("url", ["local:", "local://", "localhost"])
def test_this_machine_is_a_device_already(url):
    with pytest.raises(InputError, match="use --device cpu"):
        parse_url(url)
