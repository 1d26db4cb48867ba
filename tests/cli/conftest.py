from __future__ import annotations

import os
import pickle
import sqlite3
import zipfile
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from gnv2_nas.nn import build_model
from tests.cli.command import Invoke, make_invoke
from tests.cli.flow import Flow
from tests.cli.flow import searched as searched_for_real
from tests.measurement.networks import tiny_ghost
from tests.search.search_helpers import searched
from tests.search.spaces import SMALL, write_space


class _Disguised:
    """A pickle that runs a command when it is loaded."""

    def __reduce__(self) -> object:
        return os.mkdir, ("pwned",)


def _write_checkpoints(folder: Path) -> None:
    state = dict(build_model(tiny_ghost()).state_dict())
    last = next(reversed(state))
    save_file(state, folder / "good.safetensors")
    save_file(state | {"extra.weight": torch.ones(3)}, folder / "extra.safetensors")
    save_file({key: state[key] for key in state if key != last}, folder / "missing.safetensors")
    save_file(state | {last: torch.ones(77)}, folder / "shape.safetensors")
    save_file(state, folder / "super.safetensors", {"supernet": "{}"})
    torch.save(state, folder / "good.pth")
    (folder / "plain.pth").write_bytes(pickle.dumps(_Disguised()))
    torch.save(state, folder / "zipped.pth")
    with zipfile.ZipFile(folder / "zipped.pth") as archive:
        (name,) = (name for name in archive.namelist() if name.endswith("data.pkl"))
        content = {each: archive.read(each) for each in archive.namelist()}
    with zipfile.ZipFile(folder / "zipped.pth", "w") as archive:
        for each, data in content.items():
            archive.writestr(each, pickle.dumps(_Disguised()) if each == name else data)
    (folder / "text.pth").write_text("not a checkpoint\n")


def _write_spaces(folder: Path) -> None:
    head = "base: ghostnetv2-1.0\naxes:\n  resolution: {choices: [32]}\n"
    write_space(folder, SMALL)
    write_space(folder, head + "  dfc_kernel_h: {choices: [3, 4]}\n", "even")
    write_space(folder, head + "  widht: {choices: [1.0]}\n", "typo")
    write_space(folder, head + "  width: {choices: []}\n", "empty")
    write_space(folder, head + "  resolution: {choices: [64]}\n", "twice")
    write_space(folder, "base: !!python/object/apply:os.mkdir [pwned]\naxes: {}\n", "tags")
    write_space(folder, "# " + "x" * 10_000_000, "huge")
    (folder / "profiles").mkdir()
    (folder / "profiles" / "fast.yaml").write_text("description: x\nthreads: 0\n")
    (folder / "profiles" / "pinned.yaml").write_text("description: x\ncores: [8000]\n")


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working directory with a study `demo` and one of every bad file."""
    folder = tmp_path_factory.mktemp("prepared")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        searched(folder, trials=1)
    _write_checkpoints(folder)
    _write_spaces(folder)
    (folder / "net.json").write_text(tiny_ghost().to_json())
    (folder / "broken.json").write_text('{"blocks": [')
    (folder / "other.json").write_text('{"name": "not a network"}')
    (folder / "deep.json").write_text('{"blocks": ' + "[" * 100_000)
    (folder / "folder").mkdir()
    (folder / "single" / "cat").mkdir(parents=True)
    (folder / "single" / "cat" / "1.png").touch()
    (folder / "taken.html").write_text("<html>mine</html>")
    (folder / "closed").mkdir(mode=0o555)
    (folder / "text.db").write_text("not a database\n")
    with sqlite3.connect(folder / "songs.db") as songs:
        songs.execute("CREATE TABLE songs (title TEXT)")
    songs.close()
    return folder


@pytest.fixture
def invoke(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Invoke:
    return make_invoke(monkeypatch, capfd)


@pytest.fixture(scope="session")
def flow(tmp_path_factory: pytest.TempPathFactory) -> Flow:
    return searched_for_real(tmp_path_factory)
