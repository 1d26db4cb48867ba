"""A PostgreSQL server of the tests' own, on a socket in a folder of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

PATIENCE = 60
"""Seconds; only a broken server takes so long."""

# Speed in place of what only matters when the machine itself loses its power.
_SETTINGS = {
    "listen_addresses": "",
    "fsync": "off",
    "full_page_writes": "off",
    "shared_buffers": "16MB",
    "max_connections": "30",
}


class PostgresServer:
    """A server that can be stopped and started again, and killed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._user = _unprivileged_user()
        if self._user:
            shutil.chown(folder, self._user)
        self._run("initdb", "--auth=trust", "--username=tests", "--no-sync", "--encoding=UTF8")

    @property
    def url(self) -> str:
        return f"postgresql+psycopg://tests@/postgres?host={self.folder}"

    def start(self) -> None:
        settings = {**_SETTINGS, "unix_socket_directories": str(self.folder)}
        options = " ".join(f"-c {name}='{value}'" for name, value in settings.items())
        log = str(self.folder / "log")
        self._run("pg_ctl", "start", "--wait", "--silent", f"--log={log}", f"--options={options}")

    def stop(self, mode: str = "immediate") -> None:
        """End every connection at once; "immediate" is what a crash does."""
        self._run("pg_ctl", "stop", "--wait", "--silent", f"--mode={mode}")

    def execute(self, statement: str) -> None:
        """Run a statement of SQL as an administrator."""
        import psycopg

        there = {"user": "tests", "dbname": "postgres", "host": str(self.folder)}
        with psycopg.connect(**there, autocommit=True) as connection:
            connection.execute(statement)

    def is_running(self) -> bool:
        return (self.folder / "data" / "postmaster.pid").exists()

    def _run(self, program: str, *arguments: str) -> None:
        subprocess.run(
            [_binary(program), "--pgdata", str(self.folder / "data"), *arguments],
            check=True, timeout=PATIENCE, cwd=self.folder, stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, env=os.environ | {"LC_ALL": "C"}, **self._as_user(),
        )  # fmt: skip

    def _as_user(self) -> dict[str, Any]:
        return {"user": self._user, "extra_groups": []} if self._user else {}


def _unprivileged_user() -> str:
    """PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return ""
    return "postgres" if _is_user("postgres") else "nobody"


def _is_user(name: str) -> bool:
    import pwd

    return any(entry.pw_name == name for entry in pwd.getpwall())


def _binary(name: str) -> str:
    """Debian keeps the server's programs off the path."""
    packaged = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    found = str(packaged[-1]) if packaged else shutil.which(name)
    if found is None:
        pytest.skip(f"needs the PostgreSQL server, and {name} is not there: install 'postgresql'")
    return found


@contextmanager
def running_server() -> Iterator[PostgresServer]:
    """A fresh server, gone with all its files in the end."""
    pytest.importorskip("psycopg", reason="needs a driver: pip install 'psycopg[binary]'")
    # Not pytest's folder: the server's user may not look into that of another one.
    with tempfile.TemporaryDirectory(prefix="gnv2-postgres-") as folder:
        server = PostgresServer(Path(folder))
        server.start()
        try:
            yield server
        finally:
            if server.is_running():
                server.stop()
