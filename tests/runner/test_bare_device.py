"""The packed runner on a device that lacks what desktops have, such as a phone."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from gnv2_nas.devices.runner_program import runner_bytes
from gnv2_nas.runner.machine import cpu_model
from gnv2_nas.runtimes.base import get_runtime
from tests.measurement.networks import tiny_ghost

ANDROID = """
import os, pathlib, runpy, sys
del os.getloadavg, os.sched_setaffinity, os.sched_getaffinity
read = pathlib.Path.read_text
def read_text(self, **how):
    if self.parts[1:2] in (("proc",), ("sys",)):
        raise PermissionError(13, "Permission denied", str(self))
    return read(self, **how)
pathlib.Path.read_text = read_text
sys.argv = ["runner.pyz", *sys.argv[1:]]
runpy.run_path("runner.pyz", run_name="__main__")
"""
"""A Python without calls that Android lacks, on a system that shows no file of the kernel."""


def answers(folder: Path, count: int, commands: str, *options: str) -> list[dict]:
    """Return the first answers to the commands, from a process without HOME and PATH."""
    (folder / "runner.pyz").write_bytes(runner_bytes())
    with subprocess.Popen(
        [sys.executable, "-c", ANDROID, "onnxruntime", *options], cwd=folder, text=True,
        env={"TMPDIR": str(folder)}, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as process:  # fmt: skip
        process.stdin.write(commands)
        process.stdin.flush()
        return [json.loads(process.stdout.readline()) for _ in range(count)]


def test_the_runner_measures_where_the_system_tells_nothing(tmp_path):
    (content,) = get_runtime("onnxruntime").write(tiny_ghost()).values()
    (tmp_path / "network.onnx").write_bytes(content)
    commands = (
        "network 0 network.onnx\nload 0\nlock exclusive\nsession 9 0 0;0\n"
        "conditions proc/sel?/comm sys/none*\nend\n"
    )
    ready, loaded, locked, timed, _, conditions, refused = answers(tmp_path, 7, commands)
    assert ready["machine"]["load"] == 0
    assert ready["machine"]["cores"] >= 1
    assert not ready["machine"]["huge_pages"]
    assert len(loaded["logits"]) == 5
    assert locked["event"] == "locked"
    assert len(timed["rounds"]) == 2
    assert list(conditions["files"]) == ["proc/self/comm"]
    assert refused["event"] == "refused"
    # The lock is in the folder that TMPDIR names, as there may be no /tmp.
    assert list(tmp_path.glob("gnv2-nas-*/machine"))


def test_a_python_that_cannot_pin_says_so(tmp_path):
    (failed,) = answers(tmp_path, 1, "", "--cores", "0")
    assert failed == {
        "event": "failed",
        "message": "cores 0 cannot be used: this system cannot pin",
    }


PHONE = "".join(
    f"processor\t: {number}\nCPU implementer\t: 0x41\nCPU part\t: {part}\n\n"
    for number, part in enumerate(["0xd05"] * 4 + ["0xd41"] * 2)
)


@pytest.mark.parametrize(
    ("board", "cpuinfo", "name"),
    [
        ("", "processor\t: 0\nmodel\t\t: 85\nmodel name\t: AMD Ryzen 9\n\nmodel name\t: other\n",
         "AMD Ryzen 9"),
        ("", PHONE + "Hardware\t: Qualcomm Technologies, Inc SM8150\n",
         "Qualcomm Technologies, Inc SM8150"),
        ("", PHONE, "Arm 4 × 0x41:0xd05, 2 × 0x41:0xd41"),
        ("Raspberry Pi 4 Model B", "model name\t: ARMv7 Processor rev 3 (v7l)\n",
         "Raspberry Pi 4 Model B"),
        ("", "nothing known\nmodel name\t:\n", ""),
        ("", "", ""),
    ],
)  # fmt: skip
def test_the_processor_is_what_the_kernel_tells_of_it(board, cpuinfo, name):
    assert cpu_model(board, cpuinfo) == name
