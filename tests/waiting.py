"""Waiting for what other processes do, and looking at them through /proc."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path

PATIENCE = 30.0
"""Seconds; only what is broken takes so long."""


def until(condition: Callable[[], object], patience: float = PATIENCE) -> None:
    """Return as soon as `condition` holds; fail after so many seconds."""
    late = time.monotonic() + patience
    pause = threading.Event()
    while not condition():
        assert time.monotonic() < late, "it never happened"
        pause.wait(0.01)


def read_of_process(pid: int, file: str) -> str:
    """A file of the kernel about a process; "" for a process that is gone."""
    try:
        return Path(f"/proc/{pid}/{file}").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def state(pid: int) -> str:
    """R running, S waiting, T stopped …; "" for a process that is gone."""
    found = (read_of_process(pid, "stat").rpartition(")")[2].split() or [""])[0]
    # A zombie computes nothing; its parent has not asked for it yet.
    return "" if found in ("Z", "X") else found


def all_stopped(pids: Iterable[int]) -> bool:
    return all(state(pid) == "T" for pid in pids)


def all_gone(pids: Iterable[int]) -> bool:
    return not any(map(state, pids))
