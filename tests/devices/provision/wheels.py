"""Wheels without a package index: small ones of our own, and those of installed distributions."""

from __future__ import annotations

import base64
import hashlib
import zipfile
from importlib.metadata import distribution
from pathlib import Path


def write_wheel(folder: Path, name: str, version: str, modules: dict[str, str]) -> Path:
    """Write a wheel of pure Python: module path → source."""
    info = f"{name.replace('-', '_')}-{version}.dist-info"
    files = {path: source.encode() for path, source in modules.items()}
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    tags = "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    files |= {f"{info}/METADATA": metadata.encode(), f"{info}/WHEEL": tags.encode()}
    return _write(folder, info, "py3-none-any", files)


def repack(folder: Path, name: str) -> Path:
    """Write the wheel that an installed distribution came from, without compression."""
    installed = distribution(name)
    info = f"{name.replace('-', '_')}-{installed.version}.dist-info"
    files = {
        str(path): Path(path.locate()).read_bytes()
        for path in installed.files or ()
        if path.suffix != ".pyc" and not str(path).startswith("..")
        if path.name not in {"RECORD", "INSTALLER", "direct_url.json"}
    }
    tag = files[f"{info}/WHEEL"].decode().partition("Tag: ")[2].split()[0]
    return _write(folder, info, tag, files)


def _write(folder: Path, info: str, tag: str, files: dict[str, bytes]) -> Path:
    lines = []
    for path, content in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).decode().rstrip("=")
        lines.append(f"{path},sha256={digest},{len(content)}")
    record = f"{info}/RECORD"
    files = files | {record: "\n".join([*lines, f"{record},,"]).encode()}
    wheel = folder / f"{info.removesuffix('.dist-info')}-{tag}.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for path, content in files.items():
            archive.writestr(path, content)
    return wheel
