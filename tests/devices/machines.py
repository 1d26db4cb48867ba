"""The files of real machines that show their state, as these write them."""

from __future__ import annotations

from pathlib import Path

CPU, THERMAL, POWER = "sys/devices/system/cpu", "sys/class/thermal", "sys/class/power_supply"
THROTTLED = "sys/devices/platform/soc/soc:firmware/get_throttled"


def policy(number: int, cores: str, governor: str, now: int, limit: int, most: int) -> dict:
    folder = f"{CPU}/cpufreq/policy{number}"
    return {
        f"{folder}/related_cpus": cores, f"{folder}/scaling_governor": governor,
        f"{folder}/scaling_cur_freq": str(now), f"{folder}/scaling_max_freq": str(limit),
        f"{folder}/cpuinfo_max_freq": str(most),
    }  # fmt: skip


def zone(number: int, kind: str, temp: int, **trips: int) -> dict:
    folder = f"{THERMAL}/thermal_zone{number}"
    files = {f"{folder}/type": kind, f"{folder}/temp": str(temp)}
    for point, (name, limit) in enumerate(trips.items()):
        files[f"{folder}/trip_point_{point}_type"] = name
        files[f"{folder}/trip_point_{point}_temp"] = str(limit)
    return files


def cooling(number: int, kind: str, state: int = 0) -> dict:
    folder = f"{THERMAL}/cooling_device{number}"
    return {f"{folder}/type": kind, f"{folder}/cur_state": str(state)}


def common(cores: str, load: str, free_kib: int) -> dict:
    return {
        "proc/loadavg": f"{load} 0.10 0.05 1/150 1234",
        "proc/meminfo": f"MemTotal: 4000000 kB\nMemFree: 1 kB\nMemAvailable: {free_kib} kB",
        "proc/thread-self/status": f"Name:\tpython3\nCpus_allowed:\tf\nCpus_allowed_list:\t{cores}",
        f"{CPU}/online": cores,
    }


RASPBERRY_PI_4 = {
    **common("0-3", "0.21", 3_276_800),
    **policy(0, "0 1 2 3", "ondemand", 600_000, 1_800_000, 1_800_000),
    **zone(0, "cpu-thermal", 47_712, critical=110_000),
    THROTTLED: "0",
}
JETSON_ORIN = {
    **common("0-5", "0.80", 6_000_000),
    **policy(0, "0-3", "schedutil", 1_510_400, 1_510_400, 1_510_400),
    **policy(4, "4-5", "schedutil", 729_600, 1_510_400, 1_510_400),
    **zone(0, "cpu-thermal", 51_250, critical=104_500, hot=102_500, passive=99_000, active=50_000),
    **zone(1, "gpu-thermal", -256_000, passive=99_000),
    **cooling(0, "cpufreq-cpu0"), **cooling(1, "pwm-fan", 2), **cooling(2, "cpu-throttle-alert"),
    "var/lib/nvpmodel/status": "pmode:0001 fmode:fanNull",
}  # fmt: skip
PHONE = {
    **common("0-7", "11.3", 2_000_000),
    **policy(0, "0-3", "walt", 300_000, 1_785_600, 1_785_600),
    **policy(4, "4-6", "walt", 710_400, 2_419_200, 2_419_200),
    **policy(7, "7", "walt", 844_800, 2_841_600, 2_841_600),
    **zone(0, "aoss-0", 36_500, hot=125_000), **zone(1, "cpu-1-7", 93_100, passive=95_000),
    **zone(2, "battery", 31, hot=0), **zone(3, "pm8350b-bcl", 0),
    **{key: text for n in range(4, 20) for key, text in zone(n, f"cpu-0-{n}", 35_000 + n).items()},
    **cooling(0, "thermal-cpufreq-0"), **cooling(1, "thermal-devfreq-0", 3),
    f"{POWER}/battery/type": "Battery", f"{POWER}/battery/status": "Charging",
    f"{POWER}/battery/capacity": "71", f"{POWER}/usb/type": "USB",
}  # fmt: skip
LAPTOP = {
    **common("0-3", "0.5", 8_000_000),
    **{
        key: text
        for core in range(4)
        for key, text in policy(
            core, str(core), "powersave", 800_000 + core, 3_900_000, 3_900_000
        ).items()
    },
    **{
        f"{CPU}/cpu{core}/thermal_throttle/{kind}_throttle_count": str(count)
        for core in range(4)
        for kind, count in (("core", core), ("package", 7))
    },
    **zone(0, "acpitz", 25_000, critical=20_800),
    **zone(1, "x86_pkg_temp", 61_000, passive=61_000),
    **cooling(0, "Processor"), **cooling(1, "intel_powerclamp", -1),
    f"{POWER}/hidpp_battery_0/type": "Battery", f"{POWER}/hidpp_battery_0/scope": "Device",
    f"{POWER}/hidpp_battery_0/status": "Charging", f"{POWER}/BAT0/type": "Battery",
    f"{POWER}/BAT0/status": "Discharging", f"{POWER}/BAT0/capacity": "88",
}  # fmt: skip


def write(root: Path, files: dict) -> Path:
    for path, text in files.items():
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{text}\n")
    return root
