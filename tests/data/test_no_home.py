"""A user without a home folder has no cache, and everything else."""

from __future__ import annotations

import os
import pwd
import tempfile
from pathlib import Path

import pytest

from gnv2_nas.data import load_dataset
from gnv2_nas.errors import OutputError
from gnv2_nas.runner.lock import lock_folder
from tests.data.pictures import write_classes

SIDE = 8


def unknown_user(_: int) -> pwd.struct_passwd:
    raise KeyError("getpwuid(): uid not found: 54321")


@pytest.mark.parametrize("home", [None, "", "relative"])
@pytest.mark.parametrize("cache_home", [None, "", "relative/cache", "~/cache"])
def test_user_id_without_an_entry(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, home: str | None, cache_home: str | None
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(pwd, "getpwuid", unknown_user)
    for name, value in (("HOME", home), ("XDG_CACHE_HOME", cache_home)):
        monkeypatch.delenv(name, raising=False)
        if value is not None:
            monkeypatch.setenv(name, value)
    write_classes(tmp_path / "images", a=12, b=12)
    for _ in range(2):
        dataset = load_dataset("images", SIDE)
        assert len(dataset.train) + len(dataset.val) == 24
        (line,) = dataset.report.notes
        assert "no home folder" in line
        assert "XDG_CACHE_HOME" in line
    assert [path.name for path in tmp_path.iterdir()] == ["images"]


@pytest.mark.parametrize("home", ["", "relative"])
def test_odd_home_is_that_of_the_password_database(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, home: str
) -> None:
    entry = ("me", "x", 1, 1, "", str(tmp_path / "home"), "/bin/sh")
    monkeypatch.setattr(pwd, "getpwuid", lambda _: pwd.struct_passwd(entry))
    monkeypatch.setenv("HOME", home)
    monkeypatch.delenv("XDG_CACHE_HOME")
    dataset = load_dataset(str(write_classes(tmp_path / "images", a=12, b=12)), SIDE)
    assert dataset.report.notes == ()
    assert list((tmp_path / "home" / ".cache" / "gnv2-nas" / "data").glob("*.npy"))


@pytest.mark.parametrize("variable", ["HOME", "XDG_CACHE_HOME"])
def test_home_that_is_no_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv(variable, str(tmp_path / "file"))
    dataset = load_dataset(str(write_classes(tmp_path / "images", a=12, b=12)), SIDE)
    (line,) = dataset.report.notes
    assert "could not be cached" in line


def test_no_temporary_folder_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def nowhere() -> str:
        raise FileNotFoundError(2, "No usable temporary directory found")

    monkeypatch.setattr(tempfile, "gettempdir", nowhere)
    with pytest.raises(OutputError, match="set TMPDIR"):
        lock_folder()


def test_onnx_runtime_asks_for_no_home() -> None:
    # It would keep there what it reports to its makers, and complains where it cannot.
    assert os.environ["ORT_DISABLE_TELEMETRY"] == "1"
