"""A profile that names a benchmark program: what it says, and what is refused."""

from __future__ import annotations

import pytest

from gnv2_nas.devices import DeviceProfile, read_profile
from gnv2_nas.errors import InputError, ProfileError
from gnv2_nas.workflows.profile.run import ProfileRequest

PROGRAM = "description: x\nbenchmark: {program: /bin/b, kind: benchmark_model}\n"


@pytest.fixture(autouse=True)
def profile(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "profiles").mkdir()
    return tmp_path / "profiles" / "board.yaml"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (f"{PROGRAM}runtime: onnxruntime\n",
         r":2: key 'benchmark.kind': benchmark_model runs the files of litert.*set runtime"),
        (f"{PROGRAM}runtime: litert\nprecision: int8\n",
         r":4: key 'precision': benchmark_model runs at fp32 or fp16 here, but got int8"),
        (f"{PROGRAM}runtime: litert\npace: 30\n",
         r":4: key 'pace': benchmark_model calls without pauses"),
        ("description: x\nbenchmark: {program: b, kind: benchncnn}\n",
         r":2: key 'benchmark.kind': expected one of benchmark_model.*but got 'benchncnn'"),
        ("description: x\nbenchmark: {kind: trtexec}\n", r":2: .*'program' is missing"),
        ('description: x\nbenchmark: {program: "a\\nb", kind: trtexec}\n',
         r":2: key 'benchmark.program': "),
    ],
)  # fmt: skip
def test_what_a_program_cannot_do_is_refused_with_file_line_and_key(profile, text, problem):
    profile.write_text(text)
    with pytest.raises(ProfileError, match=problem) as caught:
        read_profile("board")
    assert "\n" not in str(caught.value)


def test_the_program_and_its_arguments_decide_a_latency(profile):
    hashes = {DeviceProfile("x", runtime="litert").content_hash}
    for arguments in ("", ", arguments: [--use_gpu=true]"):
        profile.write_text(f"{PROGRAM[:-2]}{arguments}}}\nruntime: litert\n")
        hashes.add(read_profile("board").content_hash)
    assert len(hashes) == 3


@pytest.mark.parametrize("option", [{"pace": "30fps"}, {"sustained": "5m"}, {"layers": True}])
def test_what_needs_our_runner_is_refused(profile, option):
    profile.write_text(f"{PROGRAM}runtime: litert\n")
    with pytest.raises(InputError, match="device board runs benchmark_model"):
        ProfileRequest(device="board", **option).check()
