"""A room imports from the rooms below it only, and no file imports itself in a circle."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import gnv2_nas

PACKAGE = Path(gnv2_nas.__file__).parent

FLOORS = (
    "errors", "units", "commands", "cores", "interrupts", "runner", "files", "documents", "stats",
    "arch", "space", "graph", "data", "checkpoints", "formats", "nn", "training", "runtimes",
    "devices", "measurement", "latency_model", "quality", "search", "evaluation", "report",
    "workflows", "cli",
)  # fmt: skip
"""All rooms from the ground up; `docs/architecture.md` shows the same list."""

SEARCH_FLOORS = ("study", "analysis", "sampler", "storage", "engine")
"""The rooms inside `search`, below its own modules."""

SEARCH_ATTIC = ("farm",)
"""The rooms inside `search`, above its own modules."""

# Package → the rooms that may import it; whatever is not named here is light.
HOMES = {
    "torch": {"data", "nn", "training", "runner", "runtimes", "quality"},
    "safetensors": {"nn"},
    "fvcore": {"nn"},
    "onnx": {"formats"},
    "onnxruntime": {"runner", "runtimes"},
    "openvino": {"runner", "runtimes"},
    "executorch": {"runner", "runtimes"},
    "ncnn": {"runner", "runtimes"},
    "ai_edge_litert": {"runner", "runtimes"},
    "flatbuffers": {"formats"},
    "tflite": {"formats", "runtimes"},
    "optuna": {"search"},
    "ray": {"search"},
    "grpc": {"search"},
    "psutil": {"search"},
    "sqlalchemy": {"search"},
    "pandas": {"report", "workflows"},
    "plotly": {"report"},
    "jinja2": {"report"},
    "yaml": {"documents"},
    "PIL": {"data"},
    "scipy": {"stats"},
    "typer": {"cli"},
    "rich": {"cli"},
}
# What importing a module must not load: each costs from a tenth of a second to two.
HEAVY = (
    "torch", "optuna", "pandas", "plotly", "onnx", "onnxruntime", "fvcore", "sqlalchemy",
    "scipy", "PIL",
)  # fmt: skip
LIGHT_MODULES = (
    "gnv2_nas",
    "gnv2_nas.arch",
    "gnv2_nas.checkpoints.checkpoint",
    "gnv2_nas.cli",
    "gnv2_nas.data",
    "gnv2_nas.devices",
    "gnv2_nas.graph",
    "gnv2_nas.measurement",
    "gnv2_nas.quality",
    "gnv2_nas.space",
)


def module_name(file: Path) -> str:
    parts = file.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(file): file for file in sorted(PACKAGE.rglob("*.py"))}


def imported(file: Path) -> Iterator[str]:
    """Full names of everything a file imports: at its top, inside a function, for types only."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: relative imports hide where they lead"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def room_of(name: str) -> str:
    """ "graph" for "gnv2_nas.graph.passes.pipeline"; "" for the package itself."""
    return name.split(".")[1] if "." in name else ""


def imports_of_modules() -> dict[str, set[str]]:
    """Module → the modules of the package that it imports."""
    found: dict[str, set[str]] = {}
    for module, file in MODULES.items():
        targets = {
            name if name in MODULES else name.rpartition(".")[0]
            for name in imported(file)
            if name.startswith("gnv2_nas.")
        }
        found[module] = {target for target in targets if target in MODULES} - {module}
    return found


def circle_in(graph: Mapping[str, set[str]]) -> list[str]:
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def test_no_circle_between_files() -> None:
    assert circle_in(imports_of_modules()) == []


def test_rooms_import_from_lower_floors_only() -> None:
    assert {room_of(module) for module in MODULES} - {""} == set(FLOORS)
    upwards = [
        f"{module} imports {target}"
        for module, targets in imports_of_modules().items()
        for target in targets
        if room_of(module) != room_of(target) != ""
        and room_of(module) != ""
        and FLOORS.index(room_of(target)) > FLOORS.index(room_of(module))
    ]
    assert upwards == []


def test_rooms_inside_search_import_from_lower_floors_only() -> None:
    def floor(name: str) -> int:
        rooms = (*SEARCH_FLOORS, "", *SEARCH_ATTIC)
        inner = name.split(".")[2] if name.count(".") > 1 else ""
        return rooms.index(inner if inner in rooms else "")

    upwards = [
        f"{module} imports {target}"
        for module, targets in imports_of_modules().items()
        for target in targets
        if room_of(module) == room_of(target) == "search" and floor(target) > floor(module)
    ]
    assert upwards == []


def test_packages_stay_in_their_rooms() -> None:
    strangers: dict[str, set[str]] = defaultdict(set)
    for module, file in MODULES.items():
        for package in {name.split(".")[0] for name in imported(file)}:
            if room_of(module) not in HOMES.get(package, {room_of(module)}):
                strangers[package].add(module)
    assert strangers == {}


@pytest.mark.parametrize("module", LIGHT_MODULES)
def test_light_to_import(module: str) -> None:
    code = f"import sys, {module}; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not set(HEAVY) & set(run.stdout.split())
