"""Who gets huge pages, and that a process is started anew once at most."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from gnv2_nas.runner import huge_pages

TUNABLE = "glibc.malloc.hugetlb"


@pytest.fixture
def machine(monkeypatch, tmp_path):
    """A Linux that gives huge pages on request, and a glibc that asks."""
    kernel = tmp_path / "enabled"
    kernel.write_text("always [madvise] never\n")
    monkeypatch.setattr(huge_pages, "KERNEL_SETTING", kernel)
    monkeypatch.setattr("platform.libc_ver", lambda: ("glibc", "2.36"))
    monkeypatch.delenv("GLIBC_TUNABLES", raising=False)
    return kernel


def test_a_process_is_started_with_them(machine):
    assert not huge_pages.in_use()
    assert huge_pages.environment()["GLIBC_TUNABLES"] == f"{TUNABLE}=1"


def test_other_tunables_stay(machine, monkeypatch):
    monkeypatch.setenv("GLIBC_TUNABLES", "glibc.malloc.arena_max=1")
    told = huge_pages.environment()["GLIBC_TUNABLES"]
    assert told == f"glibc.malloc.arena_max=1:{TUNABLE}=1"


@pytest.mark.parametrize("value", [0, 1, 2])
def test_whoever_has_said_something_about_them_is_left_alone(machine, monkeypatch, value):
    monkeypatch.setenv("GLIBC_TUNABLES", f"{TUNABLE}={value}")
    assert huge_pages.environment() is os.environ
    assert huge_pages.in_use() == (value == 1)


@pytest.mark.parametrize("mode", ["[always] madvise never", "always madvise [never]", None])
def test_where_the_kernel_does_not_ask_nothing_is_done(machine, mode):
    if mode is None:
        machine.unlink()
    else:
        machine.write_text(mode)
    assert huge_pages.environment() is os.environ
    assert not huge_pages.in_use()


@pytest.mark.parametrize("libc", [("glibc", "2.31"), ("musl", "1.2.4"), ("", "")])
def test_where_the_library_does_not_know_them_nothing_is_done(machine, monkeypatch, libc):
    monkeypatch.setattr("platform.libc_ver", lambda: libc)
    assert huge_pages.environment() is os.environ


def test_a_process_starts_anew_once_with_its_arguments():
    code = (
        "import os, sys; from gnv2_nas.runner import huge_pages; "
        "os.write(1, b'begun '); huge_pages.restart(); "
        "print(*sys.argv[1:], os.environ.get('GLIBC_TUNABLES', ''))"
    )
    environment = {key: value for key, value in os.environ.items() if key != "GLIBC_TUNABLES"}
    answer = subprocess.run(
        [sys.executable, "-c", code, "a b", "c"], env=environment, capture_output=True, text=True,
        check=True,
    ).stdout  # fmt: skip
    again = huge_pages.environment() is not os.environ or huge_pages.in_use()
    begun = "begun begun " if again else "begun "
    tunables = f"{TUNABLE}=1" if again else ""
    assert answer == f"{begun}a b c {tunables}\n"
