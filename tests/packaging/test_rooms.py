"""Imports follow the direction of CONTRIBUTING.md: which room knows which, and which library."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "gnv2_nas"

KNOWS: dict[str, set[str]] = {
    "errors": set(),
    "files": {"errors"},
    "units": {"errors"},
    "documents": {"errors"},
    "arch": {"errors"},
    "space": {"arch", "documents", "errors", "files"},
    "graph": {"arch", "errors"},
    "nn": {"arch", "graph", "errors", "files"},
    "quality": {"arch", "graph", "nn", "errors", "files"},
    "profiling": {"arch", "graph", "documents", "errors", "files"},
    "search": {
        "arch", "graph", "nn", "space", "profiling", "quality", "errors", "files", "units",
    },
    "report": {"arch", "graph", "space", "profiling", "search", "errors", "files", "units"},
}  # fmt: skip
"""Room → the rooms it may import. `cli` may import all of them."""

LIVES_IN = {
    "torch": {"nn", "quality"},
    "fvcore": {"nn"},
    "onnx": {"graph"},
    "onnxruntime": {"profiling"},
    "optuna": {"search"},
    "sqlalchemy": {"search"},
    "pandas": {"report"},
    "plotly": {"report"},
    "jinja2": {"report"},
    "typer": {"cli"},
    "rich": {"cli"},
}
"""Library → the rooms that may import it."""


def modules(room: str) -> list[Path]:
    folder = PACKAGE / room
    return sorted(folder.rglob("*.py")) if folder.is_dir() else [PACKAGE / f"{room}.py"]


def imports(path: Path) -> Iterator[tuple[int, str]]:
    """Line and dotted name of every import of a module, those inside functions included."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}:{node.lineno}: write the absolute import"
            if node.module == "gnv2_nas":
                yield from ((node.lineno, f"gnv2_nas.{alias.name}") for alias in node.names)
            else:
                yield node.lineno, node.module or ""


def test_every_room_is_in_the_table():
    found = {path.stem for path in PACKAGE.iterdir() if (path / "__init__.py").is_file()}
    found |= {path.stem for path in PACKAGE.glob("*.py")} - {"__init__", "__main__"}
    assert found == {*KNOWS, "cli"}


@pytest.mark.parametrize("room", KNOWS)
def test_room_knows_only_those_before_it(room: str):
    for path in modules(room):
        for line, name in imports(path):
            package, _, rest = name.partition(".")
            other = rest.partition(".")[0]
            if package == "gnv2_nas" and other != room:
                assert other in KNOWS[room], f"{path}:{line}: {room} must not import {name}"


@pytest.mark.parametrize("room", [*KNOWS, "cli"])
def test_libraries_live_in_their_rooms(room: str):
    for path in modules(room):
        for line, name in imports(path):
            library = name.partition(".")[0]
            assert room in LIVES_IN.get(library, {room}), (
                f"{path}:{line}: {library} lives in {', '.join(sorted(LIVES_IN[library]))}"
            )
