"""The runner as one file, which a device runs with its own Python."""

from __future__ import annotations

import hashlib
import io
import zipfile
from functools import cache
from pathlib import Path

import gnv2_nas

MODULES = ("errors.py", "cores.py")
"""What the room `runner` imports from the rest of the package."""
_MAIN = "from gnv2_nas.runner.serve import main\n\nmain()\n"
_DATE = (1980, 1, 1, 0, 0, 0)


@cache
def runner_bytes() -> bytes:
    """Return `runner.pyz`, a zip file that Python runs; the same code gives the same bytes."""
    package = Path(gnv2_nas.__file__).parent
    sources = [package / name for name in MODULES] + sorted((package / "runner").glob("*.py"))
    contents = {"__main__.py": _MAIN, "gnv2_nas/__init__.py": ""}
    for source in sources:
        contents[f"gnv2_nas/{source.relative_to(package).as_posix()}"] = source.read_text()
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in contents.items():
            archive.writestr(zipfile.ZipInfo(name, _DATE), text, zipfile.ZIP_DEFLATED)
    return file.getvalue()


@cache
def runner_name() -> str:
    """Return the file's name on a device, which changes with its content."""
    return f"runner-{hashlib.sha256(runner_bytes()).hexdigest()[:12]}.pyz"
