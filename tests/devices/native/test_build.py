"""What the native runner is built from, and what ends a build: no compiler runs here."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from gnv2_nas.devices.native import build as building
from gnv2_nas.devices.native import compiling
from gnv2_nas.devices.native.build import build, find_built, native_name, target_of
from gnv2_nas.devices.native.sources import NCNN_VERSION, explain_failure
from gnv2_nas.errors import DeviceError, OutputError, RunError, StorageError
from gnv2_nas.formats.ncnn import param

ROOT = Path(__file__).parents[3]


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "gnv2-nas" / "native"


def test_the_runner_has_the_ncnn_that_measures_here():
    assert f"ncnn=={NCNN_VERSION}\n" in (ROOT / "requirements.lock").read_text()


def test_ncnn_is_built_with_the_layers_of_our_files():
    assert {kind.lower() for kind in param._KINDS} <= compiling.LAYERS
    source = (Path(compiling.__file__).parent / "network.hpp").read_text()
    assert {kind for kind in param._KINDS if f'"{kind}"' not in source} == set()


@pytest.mark.parametrize(
    ("machine", "target"),
    [("aarch64", "aarch64"), ("armv7l", "armv7"), ("armv8l", "armv7"), ("AMD64", "x86_64")],
)
def test_machines_have_targets(machine, target):
    assert target_of(machine) == target


def test_a_machine_without_a_native_runner():
    with pytest.raises(DeviceError, match=r"no native runner for .riscv64.; .* armv7, x86"):
        target_of("riscv64")


def test_what_was_built_is_found(cache):
    assert find_built("aarch64") is None
    cache.mkdir(parents=True)
    built = cache / native_name("aarch64")
    built.touch()
    assert find_built("aarch64") == built == build("aarch64", pytest.fail)
    assert find_built("x86_64") is None


def test_another_source_is_another_program(tmp_path, monkeypatch):
    changed = tmp_path / "runner.cpp"
    changed.write_text("int main() {}")
    before = native_name("armv7")
    monkeypatch.setattr(building, "SOURCES", (changed, *building.SOURCES[1:]))
    assert native_name("armv7") != before


def test_a_package_index_that_has_nothing(cache, monkeypatch):
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_FIND_LINKS", "")
    told: list[str] = []
    with pytest.raises(RunError, match=r"^cannot fetch the compiler from the package index: ERROR"):
        build("aarch64", told.append)
    assert told == ["native runner: fetching a compiler and ncnn's source"]
    assert list(cache.iterdir()) == []


def test_a_full_disk_is_told_before_minutes_pass(cache, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=1e9))
    with pytest.raises(StorageError, match=r"takes 2 GiB in .*native': make room, or set XDG"):
        build("aarch64")
    assert list(cache.iterdir()) == []


def test_no_folder_to_build_in(tmp_path, monkeypatch):
    (tmp_path / "gnv2-nas").touch()
    with pytest.raises(OutputError, match="cannot write to"):
        build("aarch64")


@pytest.mark.parametrize(
    ("output", "kind", "reason"),
    [
        ("a.cpp:1: error: no such type\nninja: build stopped", RunError, "a.cpp:1: error: no such"),
        ("ninja: fatal\nlast words\n", RunError, "last words"),
        ("", RunError, "it gave no reason"),
        ("x: error: No space left on device", StorageError, "the disk is full"),
    ],
)
def test_a_failed_step_says_why_in_one_line(output, kind, reason):
    error = explain_failure("cannot build", output)
    assert type(error) is kind
    assert re.fullmatch(f"cannot build: {reason}.*", str(error))
