"""In CI nothing is left out unnoticed: a skipped test fails there. Expected failures stay.

Torch runs on one thread. Ctrl-C works, also where a shell started the tests in the background.
Each test process has a temporary folder of its own, and with it a device lock of its own: what
one measures does not wait for what the others do.
"""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
from collections.abc import Generator
from multiprocessing.util import Finalize
from pathlib import Path

import pytest

pytest_plugins = ["tests.devices.adb_daemon", "tests.devices.ssh_server"]

IN_CI = bool(os.environ.get("CI"))

# Before torch is imported: one thread. On a busy machine the threads of one small convolution
# wait for each other ten times as long as they compute.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# A shell's background jobs start with SIGINT ignored, and their children inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_configure(config: pytest.Config) -> None:
    # `tmp_path` stays where it was, so that it can be looked at after a failure.
    root = os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", tempfile.gettempdir())
    before = os.environ.get("TMPDIR")
    folder = tempfile.mkdtemp(prefix="gnv2-nas-tests-", dir=root)
    Path(folder).chmod(0o711)  # PostgreSQL runs as another user, in a folder within
    _set_temporary_folder(folder)

    config.add_cleanup(lambda: _set_temporary_folder(before))
    # After `multiprocessing` has removed its own folder within, which it does with -100.
    Finalize(None, shutil.rmtree, (folder, True), exitpriority=-200)


def _set_temporary_folder(folder: str | None) -> None:
    """Of this process and of those that it starts; None for the usual one."""
    if folder is None:
        os.environ.pop("TMPDIR", None)
    else:
        os.environ["TMPDIR"] = folder
    tempfile.tempdir = None  # what was found before is forgotten


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if not hasattr(report, "wasxfail"):
        _refuse_skip(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    _refuse_skip(report)
    return report


def _refuse_skip(report: pytest.TestReport | pytest.CollectReport) -> None:
    if IN_CI and report.skipped:
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"no test may be skipped in CI: {reason}"
