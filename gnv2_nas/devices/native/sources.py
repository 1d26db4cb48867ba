"""What the native runner is built from: a C++ compiler, CMake, Ninja and ncnn's source, by pip."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
from pathlib import Path

from gnv2_nas.errors import RunError, StorageError

NCNN_VERSION = "1.0.20261020"
NCNN_HASH = "sha256:ad8cdd63e9755cfa8e23b9b6d9ce46156077d80298a89e7c3ba325ffccfca200"
"""Hash of the source archive, which pip checks."""
TOOLS = ("cmake==4.4.5", "ninja==1.13.2", "ziglang==0.17.1")
"""zig is a C++ compiler that has the C libraries of all its targets with it."""
GIBIBYTES = 2
"""Disk space that fetching and building need, most of it for the compiler."""

# The archive's own build would call its version the day on which it is asked, and pip would refuse
# it. This build system answers with what the archive says, and runs nothing of it.
_BUILD_SYSTEM = """
from pathlib import Path

def prepare_metadata_for_build_wheel(folder, settings=None):
    info = Path(folder, "ncnn.dist-info")
    info.mkdir()
    (info / "METADATA").write_bytes(Path("PKG-INFO").read_bytes())
    return info.name
"""


def fetch_tools(folder: Path) -> None:
    """Install the tools into a folder of their own.

    Raises:
        RunError: the package index cannot be reached, or has no build of them for this machine.
        StorageError: the disk is full.
    """
    arguments = ("--target", str(folder), "--no-deps", "--no-compile", "--only-binary=:all:")
    _pip("the compiler", "install", *arguments, *TOOLS)


def fetch_ncnn(folder: Path) -> Path:
    """Fetch ncnn's source, check its hash, and unpack it; return the unpacked folder.

    Raises:
        RunError: the package index cannot be reached, or has another archive.
        StorageError: the disk is full.
    """
    build_system = folder / "build-system" / "setuptools"
    build_system.mkdir(parents=True)
    (build_system / "__init__.py").touch()
    (build_system / "build_meta.py").write_text(_BUILD_SYSTEM)
    wanted = folder / "wanted.txt"
    wanted.write_text(f"ncnn=={NCNN_VERSION} --hash={NCNN_HASH}\n")
    arguments = ("--dest", str(folder), "--no-deps", "--no-binary=:all:", "--no-build-isolation")
    _pip("ncnn's source", "download", *arguments, "--requirement", str(wanted),
         PYTHONPATH=str(build_system.parent))  # fmt: skip
    (archive,) = folder.glob("ncnn-*.tar.gz")
    with tarfile.open(archive) as content:
        content.extractall(folder, filter="data")
    archive.unlink()
    return folder / archive.name.removesuffix(".tar.gz")


def _pip(what: str, *arguments: str, **variables: str) -> None:
    """Run pip with the user's own configuration of indexes, proxies and certificates."""
    command = [sys.executable, "-m", "pip", arguments[0], "--quiet", "--no-input", *arguments[1:]]
    ended = subprocess.run(  # noqa: S603
        command, env={**os.environ, "PIP_USER": "0", **variables}, text=True, errors="replace",
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    if ended.returncode:
        raise explain_failure(f"cannot fetch {what} from the package index", ended.stdout)


def explain_failure(what: str, output: str) -> RunError:
    """Return the error of a command that failed, with the line of its output that says why."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    if any("No space left on device" in line for line in lines):
        return StorageError(f"{what}: the disk is full; {GIBIBYTES} GiB are needed")
    errors = [
        line for line in lines if "error:" in line.lower() or "no module named" in line.lower()
    ]
    reason = (errors or lines[-1:] or ["it gave no reason"])[0]
    return RunError(f"{what}: {reason[:300]}")
