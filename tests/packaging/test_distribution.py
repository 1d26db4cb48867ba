"""The sdist and the wheel built from it: what is inside, and that it works by itself."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def distributions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of both, the wheel built from the unpacked sdist."""
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.fixture(scope="module")
def wheel(distributions: Path) -> Path:
    return next(distributions.glob("*.whl"))


@pytest.fixture(scope="module")
def environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with the wheel; its dependencies are those of the environment of the tests.

    Of that one only the folder of packages is added. The link to the checkout that an editable
    install leaves there works through a `.pth` file, which Python does not follow from here.
    """
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, symlinks=True)
    python = folder / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", str(python), "--disable-pip-version-check"]
    subprocess.run([*pip, "install", "--quiet", "--no-deps", "--no-index", wheel], check=True)
    paths = {"base": str(folder), "platbase": str(folder)}
    packages = Path(sysconfig.get_path("purelib", vars=paths))
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib"))
    return folder


@pytest.fixture
def run(environment: Path, tmp_path: Path):
    """Runs a program of that environment in an empty working directory."""
    clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}

    def run(*command: str) -> subprocess.CompletedProcess[str]:
        program = [str(environment / "bin" / command[0]), *command[1:]]
        return subprocess.run(program, cwd=tmp_path, env=clean, capture_output=True, text=True)

    return run


def test_wheel_carries_code_spaces_profiles_and_licence(wheel: Path):
    names = set(zipfile.ZipFile(wheel).namelist())
    wanted = {
        str(path.relative_to(ROOT))
        for pattern in (
            "**/*.py",
            "**/*.sh",
            "**/*.?pp",
            "py.typed",
            "report/page/*",
            "data/digits.*",
        )
        for path in (ROOT / "gnv2_nas").glob(pattern)
    }
    for kind in ("search_spaces", "profiles"):
        for pattern in ("*.yaml", "*.trust.json"):
            wanted |= {f"gnv2_nas/{kind}/{path.name}" for path in (ROOT / kind).glob(pattern)}
    package = {name for name in names if name.startswith("gnv2_nas/")}
    assert package == wanted
    others = {name.split("/", 1)[1] for name in names - package}
    assert others == {
        "METADATA",
        "WHEEL",
        "entry_points.txt",
        "RECORD",
        "licenses/LICENSE",
    }


def test_sdist_has_what_a_checkout_has_and_nothing_made_there(distributions: Path):
    archive = next(distributions.glob("*.tar.gz"))
    with tarfile.open(archive) as opened:
        names = {name.split("/", 1)[1] for name in opened.getnames()}
    assert {"LICENSE", "README.md", "Makefile", "requirements.lock", "tests/conftest.py"} <= names
    assert {"search_spaces/ghostnetv2.yaml", "profiles/cpu.yaml", "gnv2_nas/py.typed"} <= names
    made = (".pyc", ".jsonl", ".db")
    assert not [name for name in names if name.endswith(made)]


def test_installed_package_comes_from_the_wheel(run, environment: Path):
    done = run("python", "-c", "import gnv2_nas; print(gnv2_nas.__file__, gnv2_nas.__version__)")
    path, version = done.stdout.split()
    assert Path(path).is_relative_to(environment)
    assert version in next(environment.rglob("gnv2_nas-*.dist-info")).name


def test_installed_command_finds_the_built_in_files(run, environment: Path, tmp_path: Path):
    spaces = run("gnv2-nas", "spaces", "--json")
    assert spaces.returncode == 0, spaces.stderr
    for name in ("ghostnetv2", "placement", "mobile", "repghost", "tiny"):
        assert f'"{name}"' in spaces.stdout
    devices = run("gnv2-nas", "devices", "--json")
    assert devices.returncode == 0, devices.stderr
    assert '"cpu"' in devices.stdout
    found = run(
        "python",
        "-c",
        "from gnv2_nas.files.writing import list_named\n"
        "for kind in ('search_spaces', 'profiles'): print(*list_named(kind).values(), sep='\\n')",
    )
    files = [Path(line) for line in found.stdout.splitlines()]
    assert len(files) >= 5
    assert all(file.is_relative_to(environment) for file in files)
    assert not list(tmp_path.iterdir())


def test_installed_command_refuses_an_impossible_budget(run, tmp_path: Path):
    done = run("gnv2-nas", "search", "--budget", "1MFLOPs")
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert "1MFLOPs" in done.stderr
    assert done.stderr.count("\n") == 1
    assert not list(tmp_path.iterdir())
