"""Data flows one way through the rooms, and imports follow it."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import gnv2_nas

PACKAGE = Path(gnv2_nas.__file__).parent

# Room → the rooms it may import besides itself.
ROOMS = {
    "arch": set(),
    "space": {"arch"},
    "graph": {"arch"},
    "nn": {"arch", "graph"},
    "quality": {"arch", "graph", "nn", "space"},
    "profiling": {"arch", "graph", "nn"},
    "search": {"arch", "graph", "space", "profiling", "quality"},
    "report": {"arch", "graph", "profiling", "quality", "search"},
}
# Modules of use to every room, and what each of them may import.
SHARED = {
    "errors": set(),
    "units": {"errors"},
    "commands": set(),
    "cores": set(),
    "leftovers": set(),
    "files": {"errors", "leftovers"},
    "file_sets": {"files", "leftovers"},
    "outputs": {"errors", "files", "leftovers"},
    "documents": {"errors", "files"},
    "regression": set(),
}
# The package's own front door and the command line see everything.
OPEN = {"__init__", "cli"}

# Package → the rooms that may import it; whatever is not named here is light.
HOMES = {
    "torch": {"nn", "quality", "profiling"},
    "safetensors": {"nn"},
    "fvcore": {"nn"},
    "onnx": {"graph"},
    "onnxruntime": {"profiling"},
    "openvino": {"profiling"},
    "executorch": {"profiling"},
    "ncnn": {"profiling"},
    "ai_edge_litert": {"profiling"},
    "flatbuffers": {"graph"},
    "tflite": {"graph", "profiling"},
    "optuna": {"search"},
    "sqlalchemy": {"search"},
    "pandas": {"report"},
    "plotly": {"report"},
    "jinja2": {"report"},
    "yaml": {"documents"},
    "PIL": {"quality"},
    "sklearn": {"quality"},
    "scipy": {"quality", "regression"},
    "typer": {"cli"},
    "rich": {"cli"},
}
# What importing a module must not load: each costs from a tenth of a second to two.
HEAVY = (
    "torch", "optuna", "pandas", "plotly", "onnx", "onnxruntime", "fvcore", "sqlalchemy", "sklearn",
    "scipy", "PIL",
)  # fmt: skip
LIGHT_MODULES = (
    "gnv2_nas",
    "gnv2_nas.arch",
    "gnv2_nas.graph",
    "gnv2_nas.graph.checkpoint",
    "gnv2_nas.space",
    "gnv2_nas.profiling",
    "gnv2_nas.quality",
    "gnv2_nas.cli",
)


def room_of(file: Path) -> str:
    parts = file.relative_to(PACKAGE).with_suffix("").parts
    return parts[0]


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def imported(file: Path) -> Iterator[str]:
    """Full names of everything a file imports, at its top or inside a function."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: relative imports hide where they lead"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def name_of(file: Path) -> str:
    return str(file.relative_to(PACKAGE))


def test_every_room_has_a_rule() -> None:
    assert {room_of(file) for file in modules()} == ROOMS.keys() | SHARED.keys() | OPEN


@pytest.mark.parametrize("file", modules(), ids=name_of)
def test_direction(file: Path) -> None:
    room = room_of(file)
    if room in OPEN:
        return
    allowed = {room} | (SHARED[room] if room in SHARED else ROOMS[room] | SHARED.keys())
    used = {name.split(".")[1] for name in imported(file) if name.startswith("gnv2_nas.")}
    assert used <= allowed, f"{room} may not import {sorted(used - allowed)}"


@pytest.mark.parametrize("file", modules(), ids=name_of)
def test_homes_of_packages(file: Path) -> None:
    room = room_of(file)
    strangers = {
        package
        for package in {name.split(".")[0] for name in imported(file)}
        if package in HOMES and room not in HOMES[package]
    }
    assert not strangers, f"{room} may not import {sorted(strangers)}"


@pytest.mark.parametrize("module", LIGHT_MODULES)
def test_light_to_import(module: str) -> None:
    code = f"import sys, {module}; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not set(HEAVY) & set(run.stdout.split())
