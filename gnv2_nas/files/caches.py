"""The folder of what can be made again, shared by all projects of a user."""

from __future__ import annotations

import os
import pwd
from pathlib import Path


def cache_folder(name: str) -> Path | None:
    """Return `$XDG_CACHE_HOME/gnv2-nas/NAME` (default `~/.cache`), which need not exist.

    None for a user without a home folder.
    """
    base = Path(os.environ.get("XDG_CACHE_HOME", ""))
    # The XDG base directory specification says to ignore relative paths.
    if not base.is_absolute():
        home = _home()
        if home is None:
            return None
        base = home / ".cache"
    return base / "gnv2-nas" / name


def _home() -> Path | None:
    """Home folder; None for a user without an entry in the password database (container)."""
    home = Path(os.environ.get("HOME", ""))
    if home.is_absolute():
        return home
    # For an empty or relative HOME, `Path.home` would return "/" or a relative path.
    try:
        home = Path(pwd.getpwuid(os.getuid()).pw_dir)
    except (KeyError, OSError):
        return None
    return home if home.is_absolute() else None
