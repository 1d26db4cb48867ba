"""The process of a command: when it began, and its restart with huge pages."""

from __future__ import annotations

import os
import time

from gnv2_nas.devices import huge_pages

_BEGAN = "GNV2_NAS_BEGAN"
"""Environment variable that hands the start time to the restarted process."""


def read_start_time() -> float:
    """Return when this command began, of `time.monotonic`, including a restart."""
    return float(os.environ.pop(_BEGAN, "") or time.monotonic())


def restart_with_huge_pages(began: float) -> None:
    """Restart this process with huge pages, unless it has them or the system has none.

    Every command that measures begins with this: the C library reads the setting when a process
    starts. Without huge pages, the memory addresses of the weights change a latency by up to 2 %.
    """
    os.environ[_BEGAN] = str(began)
    huge_pages.restart()
    del os.environ[_BEGAN]
