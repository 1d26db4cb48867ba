"""What the package imports is declared, and what is declared is locked."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from importlib.metadata import PackageNotFoundError, packages_distributions, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
LINES = (ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines()
LOCKED = [Requirement(line) for line in LINES if not line.startswith("#")]
VERSIONS = {canonicalize_name(pin.name): next(iter(pin.specifier)).version for pin in LOCKED}

NEEDED = [Requirement(text) for text in PROJECT["project"]["dependencies"]]
EXTRAS = PROJECT["project"].get("optional-dependencies", {}).values()
OPTIONAL = [Requirement(text) for extra in EXTRAS for text in extra]
DEVELOPMENT = [
    Requirement(text)
    for text in (*PROJECT["dependency-groups"]["dev"], *PROJECT["build-system"]["requires"])
]


def imported() -> dict[str, str]:
    """Top-level package → one file that imports it, for every import of `gnv2_nas`."""
    found: dict[str, str] = {}
    for path in sorted((ROOT / "gnv2_nas").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                names = [node.module]
            for name in names:
                found.setdefault(name.partition(".")[0], str(path.relative_to(ROOT)))
    return found


def names(requirements: list[Requirement]) -> set[str]:
    return {canonicalize_name(requirement.name) for requirement in requirements}


def test_every_import_is_declared():
    distributions = packages_distributions()
    declared = names(NEEDED + OPTIONAL)
    for package, path in imported().items():
        if package == "gnv2_nas" or package in sys.stdlib_module_names:
            continue
        owners = {canonicalize_name(name) for name in distributions.get(package, [package])}
        assert owners & declared, f"{path} imports {package}, which pyproject.toml does not declare"


def test_every_declared_dependency_is_imported():
    distributions = packages_distributions()
    owners = {
        canonicalize_name(owner)
        for package in imported()
        for owner in distributions.get(package, [])
    }
    assert names(NEEDED) <= owners


@pytest.mark.parametrize("requirement", NEEDED + DEVELOPMENT, ids=str)
def test_lock_satisfies_the_bounds(requirement: Requirement):
    name = canonicalize_name(requirement.name)
    assert name in VERSIONS, f"run `make lock`: {name} is not in requirements.lock"
    assert requirement.specifier.contains(VERSIONS[name], prereleases=True)


def test_lock_is_complete():
    """No dependency of a locked package is left to chance."""
    for name in VERSIONS:
        try:
            needed = [Requirement(text) for text in requires(name) or ()]
        except PackageNotFoundError:
            continue  # installed elsewhere only: a version for another platform
        for requirement in needed:
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                wanted = canonicalize_name(requirement.name)
                assert wanted in VERSIONS or wanted.startswith(("nvidia-", "cuda-", "triton"))


def test_lock_is_plain():
    """Exact versions that every index has: no options, hosts, hashes or local builds."""
    for line in LINES[1:]:
        assert re.fullmatch(r"[a-z0-9-]+==[\w.]+", line), line


def test_torch_admits_the_versions_in_use():
    torch = next(requirement for requirement in NEEDED if requirement.name == "torch")
    assert torch.specifier.contains("2.11.0")
    assert VERSIONS["torch"] == "2.13.0"
