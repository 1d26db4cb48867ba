"""Downloads packages of the npm registry, once each, and checks their hashes."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

_AT_ONCE = 50
"""Packages that one call of npm downloads."""


class Package(NamedTuple):
    """A package and the hash of its file."""

    name: str
    """Name with scope: "@fontsource/abel"."""
    version: str
    sha256: str

    @property
    def file(self) -> str:
        """Name that npm gives to the file."""
        return f"{self.name.removeprefix('@').replace('/', '-')}-{self.version}.tgz"


def default_folder() -> Path:
    """Folder that keeps packages from one run to the next."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser()
    return cache / "gnv2-nas" / "npm"


def fetch(packages: Sequence[Package], folder: Path) -> list[Path]:
    """Return the files of packages; npm downloads those that are not in the folder.

    Raises:
        SystemExit: npm is not there, or what came is not the package that the benchmark was
            made with.
    """
    folder.mkdir(parents=True, exist_ok=True)
    missing = [package for package in packages if not (folder / package.file).exists()]
    for start in range(0, len(missing), _AT_ONCE):
        _download(missing[start : start + _AT_ONCE], folder)
    for package in packages:
        _check(package, folder / package.file)
    return [folder / package.file for package in packages]


def _check(package: Package, path: Path) -> None:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest != package.sha256:
        path.unlink()
        raise SystemExit(f"error: {path.name} has hash {digest}, expected {package.sha256}")


def _download(packages: Sequence[Package], folder: Path) -> None:
    npm = shutil.which("npm")
    if npm is None:
        raise SystemExit("error: npm is needed to download the packages: install Node.js")
    names = [f"{package.name}@{package.version}" for package in packages]
    command = [npm, "pack", "--silent", *names, "--pack-destination", str(folder)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
