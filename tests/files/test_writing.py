"""Files found by name, and files that are there whole or not at all."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from gnv2_nas.errors import InputError, OutputError, StorageError, UnknownNameError
from gnv2_nas.files.writing import check_writable, find_named, list_named, write_atomically
from tests.confined import run_python

WRITE = """
import sys
from pathlib import Path
from gnv2_nas.errors import StorageError
from gnv2_nas.files.writing import write_atomically
try:
    write_atomically(Path(sys.argv[1]), b"x" * int(sys.argv[2]))
except StorageError as error:
    sys.exit(f"refused: {error}")
"""
CHECK = """
import sys
from pathlib import Path
from gnv2_nas.errors import InputError, OutputError
from gnv2_nas.files.writing import check_writable
try:
    check_writable(Path(sys.argv[1]))
except OutputError as error:
    sys.exit(f"refused: {error}")
"""


def names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


@pytest.mark.parametrize("content", [b"new \x00 bytes", "new tëxt"])
def test_a_file_is_replaced_whole(tmp_path, content):
    path = tmp_path / "a" / "b" / "page.html"
    write_atomically(path, b"an older and longer content")
    write_atomically(path, content)
    expected = content.encode() if isinstance(content, str) else content
    assert path.read_bytes() == expected
    assert names(path.parent) == ["page.html"]


def test_a_written_file_has_the_rights_of_any_new_file(tmp_path):
    (tmp_path / "plain").write_text("x")
    write_atomically(tmp_path / "aside", "x")
    rights = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("plain", "aside")]
    assert rights[0] == rights[1]


def test_a_full_disk_leaves_the_old_file_and_no_other(tmp_path):
    path = tmp_path / "page.html"
    path.write_bytes(b"old")
    assert run_python(WRITE, path, 9_000, cwd=tmp_path, largest_file=10_000).returncode == 0
    assert path.stat().st_size == 9_000
    refused = run_python(WRITE, path, 20_000, cwd=tmp_path, largest_file=10_000)
    assert refused.stderr.startswith(f"refused: cannot write {str(path)!r}: File too large")
    assert path.read_bytes() == b"x" * 9_000
    assert names(tmp_path) == ["page.html"]


def test_a_read_only_folder_refuses_and_keeps_the_old_file(tmp_path):
    path = tmp_path / "out" / "page.html"
    write_atomically(path, "old")
    path.parent.chmod(0o555)
    refused = run_python(WRITE, path, 5, cwd=tmp_path)
    assert refused.stderr.startswith(f"refused: cannot write {str(path)!r}: Permission denied")
    assert path.read_text() == "old"


def test_a_folder_in_the_place_of_the_file_is_refused(tmp_path):
    (tmp_path / "page.html").mkdir()
    with pytest.raises(StorageError, match=r"page.html': .*directory.*nothing was changed"):
        write_atomically(tmp_path / "page.html", "new")
    assert names(tmp_path) == ["page.html"]


def test_an_interrupt_while_writing_leaves_the_old_file_and_no_other(tmp_path):
    path = tmp_path / "out" / "page.html"
    write_atomically(path, "old")
    code = """
import os, signal, sys, threading
from pathlib import Path
from gnv2_nas.files.writing import write_atomically

path = Path(sys.argv[1])

def interrupt_once_it_writes():
    while not any(file.stat().st_size for file in path.parent.glob(".*")):
        pass
    os.kill(os.getpid(), signal.SIGINT)

threading.Thread(target=interrupt_once_it_writes, daemon=True).start()
try:
    write_atomically(path, b"x" * 32_000_000)
except KeyboardInterrupt:
    sys.exit("interrupted")
"""
    assert run_python(code, path, cwd=tmp_path).stderr == "interrupted\n"
    assert names(path.parent) == ["page.html"]
    assert path.read_text() == "old"


def test_a_writable_folder_is_made_and_left_empty(tmp_path):
    check_writable(tmp_path / "new" / "reports")
    assert names(tmp_path / "new" / "reports") == []


def test_a_folder_that_cannot_be_written_to_is_refused(tmp_path):
    closed = tmp_path / "closed"
    closed.mkdir()
    closed.chmod(0o555)
    for folder in (closed, closed / "reports"):
        refused = run_python(CHECK, folder, cwd=tmp_path)
        assert refused.stderr == (
            f"refused: cannot write to {str(folder)!r}: Permission denied; "
            "choose a folder you may write to\n"
        )
    assert run_python(CHECK, tmp_path / "open", cwd=tmp_path).returncode == 0


def test_a_file_in_the_place_of_the_folder_is_refused(tmp_path):
    (tmp_path / "reports").write_text("a file")
    for folder in (tmp_path / "reports", tmp_path / "reports" / "july"):
        with pytest.raises(OutputError, match=r"reports.*choose a folder you may write to"):
            check_writable(folder)


def test_named_files_of_the_working_directory_win(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    built_in = find_named("profiles", "device", "cpu")
    assert built_in.is_absolute()
    Path("profiles").mkdir()
    Path("profiles/cpu.yaml").write_text("mine")
    Path("profiles/board.yaml").write_text("mine")
    Path("profiles/notes.txt").write_text("not a profile")
    assert find_named("profiles", "device", "cpu") == Path("profiles/cpu.yaml")
    assert find_named("profiles", "device", "profiles/board.yaml") == Path("profiles/board.yaml")
    assert set(list_named("profiles")) >= {"cpu", "board"}
    assert "notes" not in list_named("profiles")
    assert list(list_named("profiles")) == sorted(list_named("profiles"))


def write(*names: str) -> None:
    for name in names:
        Path(name).parent.mkdir(exist_ok=True, parents=True)
        Path(name).write_text("mine")


@pytest.mark.parametrize("suffix", [".yml", ".YAML", ".Yml"])
def test_the_other_suffix_is_found_and_wins_over_what_is_built_in(tmp_path, monkeypatch, suffix):
    monkeypatch.chdir(tmp_path)
    write(f"profiles/board{suffix}", f"profiles/cpu{suffix}", f"boards/mine{suffix}")
    assert {"board", "cpu"} <= list_named("profiles").keys()
    for name in ("board", "cpu"):
        assert find_named("profiles", "device", name) == Path(f"profiles/{name}{suffix}")
    assert find_named("profiles", "device", f"boards/mine{suffix}") == Path(f"boards/mine{suffix}")


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("board.yaml", "profiles/board.yml"), ("board.yml", "profiles/board.yml"),
        ("board.YML", "profiles/board.yml"), (" board ", "profiles/board.yml"),
        ("profiles/board", "profiles/board.yml"), ("profiles/board.yaml", "profiles/board.yml"),
        ("./profiles/board.yml ", "profiles/board.yml"), ("here.yml", "here.yaml"),
        ("v1.2", "profiles/v1.2.yaml"), ("~/home.yaml", "at/home.yaml"),
        ("~/home", "at/home.yaml"),
    ],
)  # fmt: skip
def test_what_is_meant_is_found(tmp_path, monkeypatch, name, found):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "at")
    write("profiles/board.yml", "profiles/v1.2.yaml", "here.yaml", "at/home.yaml")
    assert find_named("profiles", "device", name) == Path(found)


def test_a_built_in_name_may_have_its_suffix(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert find_named("profiles", "device", "cpu.yaml").name == "cpu.yaml"
    write("cpu.yaml")
    assert find_named("profiles", "device", "cpu.yaml") == Path("cpu.yaml")


@pytest.mark.parametrize("name", ["board", "profiles/board", "board.yaml"])
def test_two_files_of_one_name_are_not_chosen_between(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    write("profiles/board.yaml", "profiles/board.yml")
    with pytest.raises(InputError, match=r"may be 'profiles/board.yaml' and 'profiles/board.yml'"):
        find_named("profiles", "device", name)
    for suffix in ("yaml", "yml"):
        path = f"profiles/board.{suffix}"
        assert find_named("profiles", "device", path) == Path(path)
    assert "board" in list_named("profiles")


def test_a_home_that_is_not_there_is_an_unknown_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UnknownNameError, match=r"unknown device file '~nobody_here/x.yaml'"):
        find_named("profiles", "device", "~nobody_here/x.yaml")


def test_a_name_is_never_taken_for_a_file_without_suffix(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("cpu").write_text("a file of that name")
    assert find_named("profiles", "device", "cpu").suffix == ".yaml"


@pytest.mark.parametrize(
    ("name", "what", "hint"),
    [
        ("cpuu", "unknown device 'cpuu'", "did you mean 'cpu'?"),
        ("", "unknown device ''", "known: cpu"),
        ("missing.yaml", "unknown device file 'missing.yaml'", "known: cpu"),
        ("no/such/place", "unknown device file 'no/such/place'", "known: cpu"),
    ],
)
def test_an_unknown_name_is_answered_with_the_known_ones(tmp_path, monkeypatch, name, what, hint):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UnknownNameError) as caught:
        find_named("profiles", "device", name)
    assert str(caught.value).startswith(what)
    assert hint in str(caught.value)


def test_a_path_that_may_not_be_looked_at_is_unknown(tmp_path):
    closed = tmp_path / "closed"
    closed.mkdir()
    (closed / "cpu.yaml").write_text("mine")
    closed.chmod(0)
    code = """
import sys
from gnv2_nas.errors import UnknownNameError
from gnv2_nas.files.writing import find_named
try:
    find_named("profiles", "device", sys.argv[1])
except UnknownNameError as error:
    sys.exit(f"refused: {error}")
"""
    refused = run_python(code, closed / "cpu.yaml", cwd=tmp_path)
    closed.chmod(0o700)
    assert refused.stderr.startswith("refused: unknown device file")
