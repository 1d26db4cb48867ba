"""The profile of a device that was set up."""

from __future__ import annotations

from pathlib import Path

import pytest

from gnv2_nas.devices.profile import DeviceProfile, read_profile
from gnv2_nas.devices.provision.profile_file import check_new_name, is_own, write_profile
from gnv2_nas.errors import InputError
from gnv2_nas.files.writing import find_named
from tests.devices.provision.answers import PHONE, read


@pytest.fixture(autouse=True)
def _empty_working_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    "profile",
    [
        DeviceProfile('a "quoted" # board: ×', transport="ssh", host="pi@[::1]:22"),
        DeviceProfile(
            "phone", transport="adb", serial="1.2.3.4:5555", runner="native", runtime="ncnn",
            threads=4, precision="fp16", cores=(4, 5, 6, 7),
        ),
    ],
    ids=["ssh", "adb"],
)  # fmt: skip
def test_a_profile_reads_as_it_was_written(profile):
    path = write_profile("board", profile, read(**PHONE))
    assert read_profile("board") == profile
    assert path == Path("profiles/board.yaml")
    assert is_own(path, profile)


def test_the_clusters_of_unequal_cores_are_explained():
    write_profile("phone", DeviceProfile("x", "adb", cores=(8,)), read(**PHONE))
    text = Path("profiles/phone.yaml").read_text()
    assert "#   4-7: 4 × Cortex-A715 at 2.37 GHz\n" in text
    assert "has no one latency" in text
    write_profile("pi", DeviceProfile("x", "ssh", "pi"), read())
    assert "no one latency" not in Path("profiles/pi.yaml").read_text()


@pytest.mark.parametrize("name", ["", "a/b", "../a", ".a", "-a", "a b", "a.yaml", "é", "a" * 65])
def test_a_name_that_is_no_file_name_is_refused(name):
    with pytest.raises(InputError, match="cannot be the name of a device"):
        check_new_name(name)


def test_a_name_that_is_taken_is_refused():
    for name in ("cpu", "CPU"):
        with pytest.raises(InputError, match="there is a device 'cpu' already"):
            check_new_name(name)
    check_new_name("pi5")


def test_a_built_in_profile_is_not_the_users():
    assert not is_own(find_named("profiles", "device", "cpu"), read_profile("cpu"))
