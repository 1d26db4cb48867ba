"""Names in `CONTRIBUTING.md` and `docs/architecture.md` exist; recipes list all places."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from gnv2_nas.search.study.metrics import METRICS
from tests.docs.pages import ROOT, outside_blocks
from tests.test_imports import FLOORS, SEARCH_ATTIC, SEARCH_FLOORS

PACKAGE = ROOT / "gnv2_nas"
GUIDES = ("CONTRIBUTING.md", "docs/architecture.md")
ARCHITECTURE = outside_blocks("docs/architecture.md")

CODE = re.compile(r"`([^`]+)`")
PATH = re.compile(r"[\w.-]*/[\w./-]*|[\w-]+\.(?:py|md|yaml|toml|lock)")
NAME = re.compile(r"[A-Za-z_][\w.]*[A-Z_]\w*")
SOURCES = (
    *(
        path
        for folder in ("gnv2_nas", "tests", "benchmarks")
        for path in ROOT.glob(f"{folder}/**/*.py")
    ),
    *(ROOT / name for name in ("Makefile", "pyproject.toml")),
)

KNOWN_BY = {
    "An operator kind": r'"(hard_sigmoid|max_pool)"',
    "An axis of search spaces": "cheap_kernel",
    "A runtime": "openvino",
    "A quality estimator": "naswot",
    "A sampler": "nsga2",
}
"""Recipe → what finds the files that know one such thing by name."""


def code_spans(page: str) -> list[str]:
    """The code in the text of a page, outside of its blocks."""
    return [" ".join(code.split()) for code in CODE.findall(outside_blocks(page))]


def find(path: str) -> Path | None:
    """A file or folder, from the top of the repository or of the package."""
    return next((base / path for base in (ROOT, PACKAGE) if (base / path).exists()), None)


def defined_names(file: Path) -> Iterator[str]:
    """Names that a module defines, those inside a class as "Class.name"."""
    module = ast.parse(file.read_text(encoding="utf-8"))
    scopes: list[tuple[str, ast.Module | ast.ClassDef]] = [("", module)]
    for prefix, scope in scopes:
        for node in scope.body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                yield prefix + node.name
            if isinstance(node, ast.ClassDef):
                scopes.append((f"{prefix}{node.name}.", node))
            targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", 0)]
            yield from (prefix + target.id for target in targets if isinstance(target, ast.Name))


@pytest.mark.parametrize("page", GUIDES)
def test_every_file_and_function_named_exists(page: str) -> None:
    missing = []
    for code in code_spans(page):
        path, _, name = code.partition("::")
        if not PATH.fullmatch(path):
            continue
        file = find(path)
        if file is None or (name and name not in defined_names(file)):
            missing.append(code)
    assert missing == []


@pytest.mark.parametrize("page", GUIDES)
def test_every_other_name_occurs_in_the_code(page: str) -> None:
    words = {word for path in SOURCES for word in re.findall(r"\w+", path.read_text("utf-8"))}
    names = [code for code in code_spans(page) if NAME.fullmatch(code)]
    assert [name for name in names if not words.issuperset(name.split("."))] == []


@pytest.mark.parametrize("recipe", KNOWN_BY)
def test_recipes_name_every_file_that_knows_the_thing(recipe: str) -> None:
    """A file named after the thing itself is the one that the recipe adds."""
    text = outside_blocks("CONTRIBUTING.md")
    section = text.partition(f"### {recipe}\n")[2].partition("\n##")[0]
    named = {find(code.partition("::")[0]) for code in CODE.findall(section)}
    knowing = re.compile(KNOWN_BY[recipe])
    missing = [
        str(path.relative_to(PACKAGE))
        for path in PACKAGE.rglob("*.py")
        if knowing.search(path.read_text("utf-8")) and not knowing.search(str(path))
        if path not in named
    ]
    assert section
    assert missing == []


def test_the_rooms_are_those_of_the_import_test() -> None:
    rooms = re.findall(r"^\| `(\w+)` \|", ARCHITECTURE, re.MULTILINE)
    assert tuple(rooms) == FLOORS + SEARCH_FLOORS + SEARCH_ATTIC


def test_every_page_can_be_reached_from_the_architecture() -> None:
    linked = set(re.findall(r"\]\(([\w-]+\.md)", ARCHITECTURE))
    others = {path.name for path in (ROOT / "docs").glob("*.md")} - {"architecture.md"}
    assert others - linked == set()


def test_the_page_of_the_search_names_every_metric() -> None:
    assert set(METRICS) - set(code_spans("docs/search.md")) == set()
