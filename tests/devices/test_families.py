"""Which devices need tuning: those of a processor family that was not measured."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from gnv2_nas.devices.families import needs_tuning, processor_family
from gnv2_nas.devices.fingerprint import Fingerprint
from gnv2_nas.runner.machine import widest_vectors

SERVER = Fingerprint(
    "Xeon", 2, 8.0, "Linux 6.1.0 x86_64", "3.12.1", "onnxruntime 1.32", vectors="avx512f"
)
PI = replace(SERVER, system="Linux 6.6.31+rpt aarch64", vectors="asimd")


def test_the_family_is_instruction_set_and_vectors():
    assert processor_family(SERVER) == "x86_64 with avx512f"
    assert processor_family(PI) == "aarch64 with asimd"


def test_only_runtimes_with_forms_on_other_families_need_tuning():
    assert not needs_tuning(SERVER, "onnxruntime")
    assert needs_tuning(replace(SERVER, vectors="avx2"), "onnxruntime")
    assert needs_tuning(replace(SERVER, vectors=""), "ncnn")
    assert needs_tuning(PI, "ncnn")
    assert not needs_tuning(PI, "torch")


@pytest.mark.parametrize(
    ("cpuinfo", "vectors"),
    [
        ("model name\t: x\nflags\t\t: fpu sse2 avx avx2 avx512f\n", "avx512f"),
        ("flags\t\t: fpu sse2 avx avx2\n", "avx2"),
        ("Features\t: fp asimd sve\n\nFeatures\t: fp asimd\n", "asimd"),
        ("Features\t: half thumb neon\n", "neon"),
        ("no flags\n", ""),
        ("", ""),
    ],
)
def test_vectors_are_those_that_all_cores_have(cpuinfo, vectors):
    assert widest_vectors(cpuinfo) == vectors
