"""The state of real machines, read from the files that they write."""

from __future__ import annotations

import msgspec
import pytest

from gnv2_nas.devices.condition_files import read_conditions
from gnv2_nas.devices.conditions import Cluster, Conditions
from gnv2_nas.runner.conditions import list_patterns, read_files
from tests.devices.machines import (
    CPU,
    JETSON_ORIN,
    LAPTOP,
    PHONE,
    POWER,
    RASPBERRY_PI_4,
    THERMAL,
    THROTTLED,
    write,
)

BRIEF, THOROUGH = (list_patterns(thorough=each) for each in (False, True))


@pytest.mark.parametrize("machine", [RASPBERRY_PI_4, JETSON_ORIN, PHONE, LAPTOP])
def test_a_device_collects_every_file_that_its_conditions_are_read_from(machine, tmp_path):
    found = read_files(THOROUGH, write(tmp_path, machine))
    assert read_conditions(found) == read_conditions(machine) != Conditions()
    # Between sessions the constant files are not read again.
    brief = read_files(BRIEF, tmp_path)
    assert brief.items() < found.items()
    assert read_conditions({**found, **brief}) == read_conditions(machine)


def test_a_raspberry_pi(tmp_path):
    found = read_conditions(RASPBERRY_PI_4)
    assert found.clusters == (Cluster("0-3", "ondemand", 600, 1800, 1800),)
    assert found.temperatures == {"cpu-thermal": 47.7}
    assert (found.load, found.free_mib, found.charger) == (0.21, 3200, None)
    assert found.describe_heat() == ""
    slowed = read_conditions({**RASPBERRY_PI_4, THROTTLED: "50005"})
    assert slowed.throttling == ("under-voltage", "throttled")
    assert slowed.throttled == {"under-voltage": 1, "throttled": 1}
    # Without the file, the firmware's program is asked; only before and after a measurement.
    bare = {path: text for path, text in RASPBERRY_PI_4.items() if path != THROTTLED}
    program = write(tmp_path, bare) / "usr/bin/vcgencmd"
    program.parent.mkdir(parents=True)
    program.write_text('#!/bin/sh\ntest "$1" = get_throttled && echo throttled=0x50005\n')
    program.chmod(0o755)
    assert read_conditions(read_files(THOROUGH, tmp_path)) == slowed
    assert "vcgencmd get_throttled" not in read_files(BRIEF, tmp_path)


def test_a_jetson():
    found = read_conditions(JETSON_ORIN)
    assert found.clusters == (Cluster("0-5", "schedutil", 1510, 1510, 1510),)
    assert found.temperatures == {"cpu-thermal": 51.2}
    assert found.power_mode == "pmode:0001 fmode:fanNull"
    assert found.describe_heat() == ""
    told = {"nvpmodel -q": "NV Fan Mode:cool\nNV Power Mode: MODE_30W_4CORE\n5"}
    assert read_conditions(told).power_mode == "MODE_30W_4CORE"
    alert = {**JETSON_ORIN, f"{THERMAL}/cooling_device2/cur_state": "1"}
    assert read_conditions(alert).throttling == ("slowed by cpu-throttle-alert",)


def test_a_phone():
    found = read_conditions(PHONE)
    assert [(each.cores, each.max_mhz) for each in found.clusters] == [
        ("0-3", 1786), ("4-6", 2419), ("7", 2842),
    ]  # fmt: skip
    assert len(found.temperatures) == 8
    assert next(iter(found.temperatures)) == "cpu-1-7"
    assert found.describe_heat() == "cpu-1-7 at 93 °C"
    assert (found.charger, found.battery) == (True, 71)
    assert found.throttling == ()
    # Degrees are read as degrees, and what no sensor can say is dropped.
    warm = {"sys/class/thermal/thermal_zone0/temp": "31"}
    assert read_conditions(warm).temperatures == {"zone 0": 31.0}
    # Only the cores that the measurement may use count.
    pinned = {**PHONE, "proc/thread-self/status": "Cpus_allowed_list:\t4-7"}
    assert [each.cores for each in read_conditions(pinned).clusters] == ["4-6", "7"]


def test_a_laptop():
    found = read_conditions(LAPTOP)
    assert found.clusters == (Cluster("0-3", "powersave", 800, 3900, 3900),)
    assert found.throttled == {"core throttling": 3, "package throttling": 7}
    assert (found.charger, found.battery) == (False, 88)
    assert found.hot == found.throttling == ()


CAPPED = f"{CPU}/cpufreq/policy4/scaling_max_freq"


@pytest.mark.parametrize(
    ("machine", "now", "change"),
    [
        (PHONE, {CAPPED: "1766400"}, "the frequency limit of cores 4-6 fell from 2419 to 1766 MHz"),
        (PHONE, {CAPPED: "2419000"}, None),
        (PHONE, {CAPPED: "2841600"}, None),
        (PHONE, {f"{CPU}/cpufreq/policy7/scaling_governor": "powersave"},
         "the governor of core 7 changed from walt to powersave"),
        (PHONE, {"proc/thread-self/status": "Cpus_allowed_list:\t0-3"},
         "the process lost cores 4-7"),
        (PHONE, {f"{CPU}/online": "0-6"}, "the process lost core 7"),
        (PHONE, {f"{POWER}/battery/status": "Discharging"}, "the charger was disconnected"),
        (PHONE, {f"{POWER}/battery/status": "Full"}, None),
        (LAPTOP, {f"{POWER}/BAT0/status": "Charging"}, "the charger was connected"),
        (PHONE, {f"{THERMAL}/thermal_zone0/temp": "60000", "proc/loadavg": "0.1 1 1"}, None),
        (LAPTOP, {f"{CPU}/cpu1/thermal_throttle/package_throttle_count": "9"},
         "the device was slowed down (package throttling)"),
        (RASPBERRY_PI_4, {THROTTLED: "20000"}, "the device was slowed down (frequency capped)"),
        (JETSON_ORIN, {"var/lib/nvpmodel/status": "pmode:0000 fmode:fanNull"},
         "the power mode changed from pmode:0001 fmode:fanNull to pmode:0000 fmode:fanNull"),
    ],
)  # fmt: skip
def test_changes_that_matter_are_told(machine, now, change):
    before = read_conditions(machine)
    after = read_conditions({**machine, **now})
    assert after.changes_since(before) == ([change] if change else [])


def test_a_slowdown_of_long_ago_is_no_change():
    before = read_conditions({**RASPBERRY_PI_4, THROTTLED: "50000"})
    assert before.changes_since(before) == []
    assert before.throttling == ()


def test_a_machine_that_tells_nothing_has_no_conditions(tmp_path):
    assert read_files(THOROUGH, tmp_path) == {}
    assert read_conditions({}) == Conditions()
    assert Conditions().changes_since(Conditions()) == []
    assert msgspec.json.encode(Conditions()) == b"{}"
    hostile = {
        f"{CPU}/online": "0-99999999999",
        THROTTLED: "x",
        "proc/loadavg": "",
        "proc/meminfo": "MemAvailable:",
        "proc/thread-self/status": "Cpus_allowed_list:a-b",
    }
    assert read_conditions(hostile) == Conditions()


@pytest.mark.parametrize("text", ["inf", "nan", "1e999", "9" * 5000])
def test_what_is_no_number_tells_nothing(text):
    policy = "sys/devices/system/cpu/cpufreq/policy0"
    files = {f"{policy}/related_cpus": "0", f"{policy}/scaling_cur_freq": text}
    files["sys/devices/system/cpu/cpu0/thermal_throttle/core_throttle_count"] = text
    found = read_conditions({**files, "proc/loadavg": text})
    assert found.throttled == {}
    assert found.load is None
    assert found.clusters[0].mhz is None


def test_the_conditions_of_this_machine_are_its_own():
    found = read_conditions(read_files(THOROUGH))
    assert found.cores
    assert found.load is not None
    assert found.free_mib > 0
