"""Which engine a device can have."""

from __future__ import annotations

import pytest

from gnv2_nas.devices.provision.engines import (
    choose_python,
    describe_alternatives,
    refusal,
    requirements,
    wheel_platforms,
)
from tests.devices.provision.answers import ALPINE, JETSON_NANO, PHONE, python, read


@pytest.mark.parametrize(
    ("runtime", "facts", "why"),
    [
        ("onnxruntime", {}, ""),
        ("openvino", {}, ""),
        (
            "openvino",
            {"glibc": "glibc 2.31"},
            "2.31, is too old for openvino, which needs 2.35",
        ),
        ("onnxruntime", {"bits": "32"}, "no wheel of onnxruntime for armv7l"),
        ("ncnn", {"bits": "32"}, ""),
        ("onnxruntime", ALPINE, "no wheel of onnxruntime for musl 1.2.5"),
        ("ncnn", ALPINE, ""),
        ("onnxruntime", JETSON_NANO, "its Python 3.6.9 is too old; 3.9 or later works"),
        ("onnxruntime", PHONE, "it has no Python"),
        ("onnxruntime", {"python": python("3.11.2", venv=False)}, "no module 'venv': install it"),
    ],
)
def test_what_a_device_lacks_is_said(runtime, facts, why):
    said = refusal(runtime, read(**facts))
    assert why in said
    assert bool(why) == bool(said)


def test_the_alternatives_are_those_that_work_there():
    assert describe_alternatives(read(glibc="glibc 2.26")) == (
        "use --runtime ncnn or --runner native"
    )
    assert describe_alternatives(read(**PHONE)) == "use --runner native"
    assert describe_alternatives(read(machine="riscv64", glibc="")) == "no runtime works there"


def test_an_interpreter_that_fits_is_preferred_to_the_first():
    found = read(python=[python("3.8.10"), python("3.12.1")])
    assert choose_python(found).version == (3, 12, 1)


def test_the_engine_is_not_newer_than_the_one_here():
    assert requirements("onnxruntime", "1.31.1")[0] == "onnxruntime>=1.19,<=1.31.1"
    assert requirements("litert")[0] == "ai-edge-litert>=2.1"


def test_wheels_are_for_the_c_library_of_the_device():
    assert wheel_platforms(read(glibc="glibc 2.18")) == [
        "manylinux_2_18_aarch64", "manylinux_2_17_aarch64", "manylinux2014_aarch64",
    ]  # fmt: skip
    assert wheel_platforms(read(**ALPINE)) == ["musllinux_1_2_x86_64", "musllinux_1_1_x86_64"]
    assert wheel_platforms(read(**PHONE))[0] == "android_35_arm64_v8a"
