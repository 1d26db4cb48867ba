"""Files that belong together are replaced together, and killed processes leave nothing for ever."""

from __future__ import annotations

import os
import shutil
import socket
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from gnv2_nas.errors import StorageError
from gnv2_nas.files.file_sets import write_set
from gnv2_nas.files.leftovers import create_aside, remove_leftovers
from gnv2_nas.files.writing import check_writable, replacing, write_atomically

NAMES = ("model.xml", "model.bin", "model.md")
STEPS = ("replace", "link", "symlink", "unlink", "mkdir", "rmdir", "fsync")


def contents(folder: Path, age: str) -> dict[Path, bytes | str]:
    return {folder / name: f"{age} {name}" for name in NAMES}


def found(folder: Path) -> list[str]:
    """The age of each file that a reader of the folder sees."""
    return [(folder / name).read_text().split()[0] for name in NAMES if (folder / name).exists()]


def killed_at(step: int, work: Callable[[], None]) -> bool:
    """Run `work` in a process that dies, as by SIGKILL, before its `step`-th change of the disk."""
    child = os.fork()
    if child == 0:
        left = step

        def dying(change: Callable[..., object]) -> Callable[..., object]:
            def instead(*args: object, **options: object) -> object:
                nonlocal left
                left -= 1
                if left < 0:
                    os._exit(9)
                return change(*args, **options)

            return instead

        for name in STEPS:
            setattr(os, name, dying(getattr(os, name)))
        try:
            work()
        finally:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9


@pytest.mark.parametrize("before", [0, len(NAMES)], ids=["new", "replaced"])
def test_a_kill_at_any_instant_leaves_one_set(tmp_path: Path, before: int) -> None:
    old = dict(list(contents(tmp_path, "old").items())[:before])
    step, ages = 0, []
    while True:
        shutil.rmtree(tmp_path)
        tmp_path.mkdir()
        for path, content in old.items():
            path.write_text(str(content))
        if not killed_at(step, lambda: write_set(contents(tmp_path, "new"))):
            break
        seen = found(tmp_path)
        assert seen in (["old"] * before, ["new"] * len(NAMES)), step
        remove_leftovers(tmp_path)
        assert found(tmp_path) == seen, step
        assert {path.name for path in tmp_path.iterdir()} == set(NAMES[: len(seen)]), step
        assert not any(path.is_symlink() for path in tmp_path.iterdir())
        ages += seen
        step += 1
    assert step > 20
    assert "new" in ages
    assert found(tmp_path) == ["new"] * len(NAMES)
    assert {path.name for path in tmp_path.iterdir()} == set(NAMES)


def no_links(*_: object) -> None:
    raise PermissionError(1, "Operation not permitted")


def test_without_links_a_kill_never_leaves_a_mixture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "link", no_links)
    monkeypatch.setattr(os, "symlink", no_links)
    step = 0
    while True:
        for path, content in contents(tmp_path, "old").items():
            path.write_text(str(content))
        if not killed_at(step, lambda: write_set(contents(tmp_path, "new"))):
            break
        assert len(set(found(tmp_path))) <= 1, step
        remove_leftovers(tmp_path)
        assert found(tmp_path) in (["old"] * 3, ["new"] * 3), step
        assert {path.name for path in tmp_path.iterdir()} == set(NAMES)
        step += 1
    assert found(tmp_path) == ["new"] * 3


def test_a_refused_file_leaves_the_old_set(tmp_path: Path) -> None:
    write_set(contents(tmp_path, "old"))
    (tmp_path / "more.txt").mkdir()
    with pytest.raises(StorageError, match="nothing was changed"):
        write_set({**contents(tmp_path, "new"), tmp_path / "more.txt": "new"})
    assert found(tmp_path) == ["old"] * 3
    assert {path.name for path in tmp_path.iterdir()} == {*NAMES, "more.txt"}


def left_behind(path: Path) -> Path:
    aside, descriptor = create_aside(path)
    os.write(descriptor, b"half of it")
    os.close(descriptor)
    return aside


@pytest.mark.parametrize(
    "command",
    [
        lambda folder: write_atomically(folder / "other.json", "x"),
        lambda folder: write_set({folder / "other.json": "x", folder / "other.csv": "y"}),
        check_writable,
    ],
    ids=["file", "set", "check"],
)
def test_what_a_killed_process_left_is_removed_by_the_next(
    tmp_path: Path, command: Callable[[Path], None]
) -> None:
    aside = left_behind(tmp_path / "weights.safetensors.resume")
    (tmp_path / ".mine.gnv2-nas").write_text("of the user")
    command(tmp_path)
    assert not aside.exists()
    assert (tmp_path / ".mine.gnv2-nas").exists()


def test_what_a_living_process_writes_is_kept(tmp_path: Path) -> None:
    with replacing(tmp_path / "a.npy") as file:
        file.write(b"a")
        write_atomically(tmp_path / "b.npy", "b")
    assert {path.name for path in tmp_path.iterdir()} == {"a.npy", "b.npy"}


def test_what_another_machine_writes_is_kept_for_days(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as elsewhere:
        elsewhere.setattr(socket, "gethostname", lambda: "elsewhere")
        aside = left_behind(tmp_path / "a.npy")
    remove_leftovers(tmp_path)
    assert aside.exists()
    os.utime(aside, (time.time() - 8 * 86400,) * 2)
    remove_leftovers(tmp_path)
    assert not aside.exists()
