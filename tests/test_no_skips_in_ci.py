"""A skip is a failure in CI, and only there."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = """
import pytest

def test_passes(): pass

@pytest.mark.skip(reason="marked")
def test_marked(): pass

@pytest.mark.skipif(True, reason="conditional")
def test_conditional(): pass

@pytest.fixture
def absent(): pytest.skip("in a fixture")

def test_with_fixture(absent): pass

def test_in_body(): pytest.skip("in the body")

@pytest.mark.xfail
def test_expected_failure(): raise AssertionError

@pytest.mark.xfail(run=False)
def test_expected_failure_not_run(): pass
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    conftest = Path(__file__).with_name("conftest.py").read_text(encoding="utf-8")
    (tmp_path / "conftest.py").write_text(conftest)
    (tmp_path / "test_some.py").write_text(TESTS)
    return tmp_path


def run(folder: Path, *, ci: bool) -> str:
    environment = {name: value for name, value in os.environ.items() if name != "CI"}
    environment |= {"CI": "true"} if ci else {}
    environment["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"  # they take seconds to import
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q"]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    return done.stdout


def test_outside_ci_a_skip_is_a_skip(folder: Path):
    assert "1 passed, 4 skipped, 2 xfailed" in run(folder, ci=False)


def test_in_ci_every_skip_fails_with_its_reason(folder: Path):
    output = run(folder, ci=True)
    assert "1 passed, 2 xfailed" in output
    assert "skipped" not in output.splitlines()[-1]
    for reason in ("marked", "conditional", "in a fixture", "in the body"):
        assert f"no test may be skipped in CI: Skipped: {reason}" in output


def test_in_ci_a_module_that_skips_itself_fails(folder: Path):
    (folder / "test_module.py").write_text("import pytest\npytest.importorskip('no_such_module')\n")
    assert "no test may be skipped in CI: Skipped: could not import" in run(folder, ci=True)
