"""Every command line and Python block of the documentation runs, page by page, in order.

The blocks of a page share one working directory, so a search and the report on it may follow each
other, and Python blocks keep the imports of those before them. Commands run shortened (see
`shortened.py`), as forks of one process (see `warm.py`). Of `make TARGET` it is checked that the
target exists. Lines that fetch, enter or set up a checkout or an environment are left out: SET_UP.
A checkpoint such as `ghostnetv2-1.0.pth` that a page mentions is there, with random weights.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
import torch
import typer

import gnv2_nas as gn
from gnv2_nas.cli import app
from gnv2_nas.runner import huge_pages
from tests.docs.pages import CONSOLE, PAGES, PYTHON, ROOT, SHELL, Block, blocks, outside_blocks

SET_UP = re.compile(
    r"(git clone|git add|git commit|cd|source|pip install|python3? -m venv|\.venv/bin/pre-commit) "
)
CHECKPOINT = re.compile(r"\b(ghostnet[\w.-]*?)\.pth\b")
IMPORT = re.compile(r"^(?:import|from) .*$", re.MULTILINE)
COMMAND = re.compile(r"^\s*(\$ )?(gnv2-nas|make) [\w-]", re.MULTILINE)
ASK = Path(__file__).with_name("ask.py")
RUN_PYTHON = "run-python"


@pytest.fixture(scope="session")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """PATH leads to stand-ins of `gnv2-nas` and `make`, and to the tools of this environment."""
    folder = tmp_path_factory.mktemp("bin")
    with tempfile.TemporaryDirectory() as short:  # the path of a socket has 100 characters at most
        environment = _environment(folder, f"{short}/socket")
        command = [sys.executable, "-m", "tests.docs.warm", f"{short}/socket"]
        with subprocess.Popen(
            command, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE
        ) as warm:
            assert warm.stdout is not None
            assert warm.stdout.readline(), "the process that runs the commands did not start"
            yield environment
            warm.kill()


def _environment(folder: Path, socket: str) -> dict[str, str]:
    ask = f'exec "{sys.executable}" -I -S "{ASK}" "{socket}"'
    _script(folder / "gnv2-nas", f'{ask} gnv2-nas "$@"')
    _script(folder / RUN_PYTHON, f'{ask} "$@"')
    real_make = shutil.which("make") or "make"
    _script(folder / "make", f'exec "{real_make}" -n -C "{ROOT}" "$@" >/dev/null')
    path = [str(folder), str(Path(sys.executable).parent), os.environ["PATH"]]
    # With huge pages from the beginning, for which a measurement starts itself anew.
    return {**huge_pages.environment(), "PATH": os.pathsep.join(path), "COLUMNS": "200"}


def _script(path: Path, line: str) -> None:
    path.write_text(f"#!/bin/sh\n{line}\n")
    path.chmod(0o755)


FAST = ("docs/networks.md", "docs/python.md", "docs/reports.md", "docs/search-spaces.md")
"""Pages that run by default. The commands of the others repeat the flows of `tests/cli`."""


@pytest.mark.parametrize(
    "page", [page if page in FAST else pytest.param(page, marks=pytest.mark.slow) for page in PAGES]
)
def test_every_command_of_the_page_runs(
    page: str, environment: dict[str, str], tmp_path: Path
) -> None:
    imports: list[str] = []
    for block in blocks(page):
        if block.needs_device:
            continue
        for name in CHECKPOINT.findall(block.text):
            torch.save(gn.build_model(gn.preset(name)).state_dict(), tmp_path / f"{name}.pth")
        if block.file():
            target = tmp_path / block.file()
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(block.text)
        command = _command(block, imports, tmp_path)
        if command:
            _run(command, block, page, environment, tmp_path)


def _command(block: Block, imports: list[str], folder: Path) -> list[str]:
    if block.language == PYTHON:
        script = folder / f"block_{block.line}.py"
        script.write_text("\n".join([*imports, block.text]))
        imports += IMPORT.findall(block.text)
        return [RUN_PYTHON, str(script)]
    lines = [line for line in block.commands().splitlines() if not SET_UP.match(line)]
    return ["bash", "-euo", "pipefail", "-c", "\n".join(lines)] if lines else []


def _run(
    command: list[str], block: Block, page: str, environment: dict[str, str], folder: Path
) -> None:
    done = subprocess.run(
        command,
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    failed = done.returncode != 0
    assert failed == block.shows_an_error(), (
        f"{page}:{block.line}: exit code {done.returncode}\n{block.text}\nprinted\n{done.stdout}"
    )


DEVICE_COMMANDS = [
    pytest.param(line.partition("#")[0], id=f"{page}: {line[:60]}")
    for page in PAGES
    for block in blocks(page)
    if block.needs_device
    for line in block.commands().splitlines()
    if line.startswith("gnv2-nas ")
]


@pytest.mark.parametrize("line", DEVICE_COMMANDS)
def test_commands_for_devices_are_read(line: str) -> None:
    """They are not run, but their subcommand and all of their options exist."""
    command: click.Command = typer.main.get_command(app)
    words = shlex.split(line)[1:]
    while isinstance(command, click.Group) and words and words[0] in command.commands:
        command, words = command.commands[words[0]], words[1:]
    with command.make_context(command.name, words):
        pass


@pytest.mark.parametrize("page", PAGES)
def test_no_command_hides_outside_of_blocks_that_run(page: str) -> None:
    for block in blocks(page):
        if block.language not in (*SHELL, CONSOLE):
            assert not COMMAND.search(block.text), f"{page}:{block.line}: make it an `sh` block"
    indented = re.search(r"^( {4}|\t)\s*(\$ )?(gnv2-nas|make) .*", outside_blocks(page), re.M)
    assert not indented, f"{page}: {indented[0].strip()!r} must stand in an `sh` block"
