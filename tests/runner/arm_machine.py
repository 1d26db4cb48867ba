"""An Arm machine in a folder: Debian's arm64 Python with numpy and ncnn, for qemu's user mode.

`python -m tests.runner.arm_machine` makes it, once, in the user's cache. It needs Debian's archive
and the package index, but neither root nor an Arm root file system: packages are unpacked, not
installed, and apt keeps its state in a folder of its own.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

QEMU = "qemu-aarch64-static"
CORE = "cortex-a76"
"""That of a Raspberry Pi 5; it has fp16 arithmetic, which ncnn uses unless told otherwise."""
PACKAGES = ("python3-minimal", "libpython3-stdlib", "libstdc++6", "libgomp1")
"""Debian packages; apt adds what they need."""
WHEELS = ("ncnn", "numpy")
"""Not from Debian, so that their versions are those of requirements.lock."""
LIBC_TAGS = ("manylinux2014", "manylinux_2_27", "manylinux_2_28")
LOCK = Path(__file__).parents[2] / "requirements.lock"


def arm_python() -> Sequence[str]:
    """Return the command that runs the Arm machine's Python.

    Raises:
        FileNotFoundError: qemu or the folder is missing; the message says how to get them.
    """
    if shutil.which(QEMU) is None:
        raise FileNotFoundError(f"no {QEMU}: install Debian's qemu-user-static")
    if not machine_folder().is_dir():
        raise FileNotFoundError("no Arm machine: make it with `python -m tests.runner.arm_machine`")
    return _python(machine_folder())


def machine_folder() -> Path:
    """The folder of the machine; another one for other packages."""
    content = hashlib.sha256(repr((PACKAGES, _locked_wheels())).encode()).hexdigest()
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "gnv2-nas" / "tests" / f"arm64-{content[:12]}"


def make_machine() -> None:
    """Make the folder beside its place, try it, and rename it; do nothing if it exists."""
    folder = machine_folder()
    if folder.is_dir():
        return
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f"{folder.name}-", dir=folder.parent) as work:
        made = Path(work) / "machine"
        _unpack_debian(Path(work), made)
        _unpack_wheels(Path(work), made)
        # The first run compiles what the runner imports; later ones start in half the time.
        _run(*_python(made), "-c", "import argparse, importlib.metadata, json, ncnn, numpy.random")
        try:
            made.rename(folder)
        except OSError:
            if not folder.is_dir():  # another process made it meanwhile
                raise


def _python(folder: Path) -> Sequence[str]:
    # "-I": the variables of this machine's Python are not for this one.
    return (QEMU, "-cpu", CORE, "-L", str(folder), str(folder / "usr/bin/python3"), "-I")


def _unpack_debian(work: Path, folder: Path) -> None:
    """Fetch arm64 packages from the archive that this system uses, and unpack them."""
    state = work / "apt"
    for needed in ("lists/partial", "archives/partial"):
        (state / needed).mkdir(parents=True)
    (state / "status").touch()  # nothing is installed
    settings = {
        "APT::Architecture": "arm64",
        "APT::Architectures": "arm64",
        "APT::Sandbox::User": "",
        "Acquire::Languages": "none",
        "Acquire::Retries": 3,
        "Dir::State": state,
        "Dir::State::lists": state / "lists",
        "Dir::State::status": state / "status",
        "Dir::Cache": state,
    }
    debian = Path("/etc/apt/sources.list.d/debian.sources")
    if debian.exists():  # and not what else the user has packages from
        settings |= {"Dir::Etc::sourcelist": debian, "Dir::Etc::sourceparts": "-"}
    apt = ["apt-get", "-qq", *(f"-o={name}={value}" for name, value in settings.items())]
    _run(*apt, "update")
    _run(*apt, "install", "--download-only", "--no-install-recommends", "--yes", *PACKAGES)
    for package in sorted(state.glob("archives/*.deb")):
        _run("dpkg-deb", "--extract", str(package), str(folder))
    if not (folder / "lib").exists():
        (folder / "lib").symlink_to("usr/lib")


def _unpack_wheels(work: Path, folder: Path) -> None:
    """Fetch wheels for the Arm machine's Python, and unpack them where it finds them."""
    python = (folder / "usr/bin/python3").readlink().name.removeprefix("python")
    _run(
        sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:",
        *(f"--platform={tag}_aarch64" for tag in LIBC_TAGS), f"--python-version={python}",
        f"--dest={work}", *_locked_wheels(),
    )  # fmt: skip
    for wheel in work.glob("*.whl"):
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(folder / "usr/lib/python3/dist-packages")


def _locked_wheels() -> Sequence[str]:
    return re.findall(rf"^(?:{'|'.join(WHEELS)})==.*$", LOCK.read_text(), re.MULTILINE)


def _run(*command: str) -> None:
    subprocess.run(command, check=True, stdout=sys.stderr)


if __name__ == "__main__":
    make_machine()
    print(machine_folder())
