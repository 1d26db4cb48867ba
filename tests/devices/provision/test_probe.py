"""What a device is, from the output of the script that asks it."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from gnv2_nas.devices.provision.probe import SCRIPT, Libc, differences, parse_probe, probe
from gnv2_nas.devices.provision.processor import choose_cores, find_clusters, read_cores
from gnv2_nas.devices.transports.local import LocalTransport
from gnv2_nas.errors import DeviceError
from tests.devices.provision.answers import (
    A55,
    A76,
    ALPINE,
    PHONE,
    answer,
    cores,
    cpuinfo,
    python,
    read,
)


def test_this_machine_tells_what_it_is(tmp_path):
    found = probe(LocalTransport("here", tmp_path))
    assert found.machine == os.uname().machine
    assert found.system == f"Linux {os.uname().release}"
    assert {core.number for core in found.cores if core.allowed} == os.sched_getaffinity(0)
    assert found.memory_mb == os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") >> 20
    assert found.free_mb == pytest.approx(os.statvfs(tmp_path).f_bavail * 4096 >> 20, rel=0.1)
    assert found.libc.version >= (2, 17)
    assert found.pythons


@pytest.mark.parametrize("tool", ["getconf", "ldd", "getprop", "python3"])
def test_a_missing_tool_costs_only_its_facts(tmp_path, tool):
    """Android has no getconf and ldd, a router no Python."""
    for name in ("sh", "uname", "tr", "grep", "head", "tail", "df", "getconf", "ldd"):
        if name != tool:
            (tmp_path / name).symlink_to(Path(f"/usr/bin/{name}").resolve())
    done = subprocess.run(
        ["sh"], input=SCRIPT.read_bytes(), capture_output=True, env={"PATH": str(tmp_path)},
        check=True,
    )  # fmt: skip
    found = parse_probe(done.stdout.decode(), "here")
    assert found.pythons == ()
    assert found.libc.kind == "glibc"
    assert done.stderr == b""


def test_a_board_is_described_in_one_line():
    assert read().describe() == (
        "Raspberry Pi 5 Model B Rev 1.0, 4 × Cortex-A76 at 2.40 GHz, 8 GB, "
        "Debian GNU/Linux 12 (bookworm)"
    )
    assert read(**PHONE).describe() == (
        "Pixel 8, 1 × Cortex-X3 at 2.91 GHz + 4 × Cortex-A715 at 2.37 GHz + "
        "4 × Cortex-A510 at 1.70 GHz, 8 GB, Android 15"
    )
    assert read(**ALPINE).cpu == "2 × Intel Core i5-12400"


def test_the_c_library_is_found_where_getconf_is_missing():
    assert read().libc == Libc("glibc", (2, 36))
    assert read(glibc="").libc == Libc("glibc", (2, 36))
    assert read(**ALPINE).libc == Libc("musl", (1, 2, 5))
    assert read(**PHONE).libc == Libc("bionic", (35,))
    assert read(glibc="", ldd="").libc == Libc("unknown")


def test_a_64_bit_kernel_may_run_32_bit_programs():
    """As on a Raspberry Pi with the 32-bit system, whose kernel says aarch64."""
    assert read(bits="32").machine == "armv7l"


def test_every_python_is_found_once():
    found = read(python=[python("3.8.10"), python("3.12.1"), python("3.12.1"), "python2 rubbish"])
    assert [each.version for each in found.pythons] == [(3, 8, 10), (3, 12, 1)]
    assert read(python=python("3.11.2", pip="-")).pythons[0].pip == ()


@pytest.mark.parametrize(
    ("kinds", "threads", "chosen"),
    [
        ([(A55, 1800000, 250)] * 4 + [(A76, 2400000, 1024)] * 4, 1, (4, 5, 6, 7)),
        ([(A55, 1800000, 250)] * 4 + [(A76, 2400000, 1024)] * 2, 4, (0, 1, 2, 3, 4, 5)),
        ([(A55, 1800000, "-")] * 2 + [(A55, 1400000, "-")] * 2, 1, (0, 1)),
        ([(A76, 2400000, 1024)] * 3 + [(A76, 2300000, 1000)], 1, ()),
        ([(A76, 0, "-")] * 4, 1, ()),
    ],
    ids=["fast cluster", "threads need both", "frequencies differ", "nearly equal", "unknown"],
)
def test_a_network_runs_on_the_fastest_cluster(kinds, threads, chosen):
    found = read(
        cpuinfo=cpuinfo(*(model for model, _, _ in kinds)),
        core=cores(*(kind[1:] for kind in kinds)),
        allowed="Cpus_allowed_list:0-7",
    )
    assert choose_cores(found.cores, threads) == chosen


def test_a_core_that_is_not_allowed_is_not_chosen():
    """Android keeps the largest core from background programs."""
    found = read(**PHONE | {"allowed": "Cpus_allowed_list:0-7"})
    assert choose_cores(found.cores, 1) == (4, 5, 6, 7)
    assert find_clusters(found.cores)[0].numbers == (8,)


@pytest.mark.parametrize(
    ("output", "message"),
    [
        ("", "its answer ends with 'nothing'"),
        ("This account is currently not available.\n", "ends with 'This account is currently not"),
        (answer().replace("end\t", ""), "did not run the script"),
        (answer(system="Darwin"), "runs Darwin; Linux or Android works"),
        (answer(disk="no such thing"), "does not tell its disk: it says 'no such thing'"),
        (answer(core="", cpuinfo=""), "does not tell its processor cores"),
    ],
)
def test_an_incomplete_answer_is_refused(output, message):
    with pytest.raises(DeviceError, match=message):
        parse_probe(output, "ssh pi@board")


def test_a_list_of_cores_without_end_takes_no_memory():
    allowed = "Cpus_allowed_list: 0,2-99999999999"
    cores = read_cores([], ["0 - - -", "1 - - -"], allowed)
    assert [core.allowed for core in cores] == [True, False]


def test_terminal_escapes_of_a_device_are_harmless():
    assert read(board="\x1b[31mPi\x07").board == "[31mPi"


def test_changes_between_two_checks_are_named():
    before, after = read(), read(release="6.12.1", core=cores((1800000, "-")) * 4)
    assert differences(before, after) == {
        "system": ("Linux 6.6.51+rpt-rpi-2712", "Linux 6.12.1"),
        "processor": ("4 × Cortex-A76 at 2.40 GHz", "4 × Cortex-A76 at 1.80 GHz"),
    }
    assert differences(before, read(disk="/dev/x 1 1 1024 1% /")) == {}
