"""Peak resident memory of a network: a process of its own loads it and runs it.

The process loads and runs a minimal network first, which stays loaded. What is resident then is the
runtime's own: its libraries, the code of its kernels, its tables. Then it loads the network, gives
memory that was freed back to the system, and runs it. The most that is resident from then on, less
what was resident before, is the network's: weights as the runtime keeps them, feature maps, work
space, and the input image. Loading takes more for a moment; how much depends on how an application
reads the file.

`VmHWM` of /proc/self/status is the most that was ever resident; writing 5 to /proc/self/clear_refs
starts it anew (Linux 4.0). The process uses no huge pages, which count as a whole even if little of
them was touched.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from gnv2_nas.errors import MeasurementError
from gnv2_nas.runner import huge_pages
from gnv2_nas.runner.sessions import open_session
from gnv2_nas.runner.timing import Session

RUNS = 5
"""ONNX Runtime plans its feature maps in the first run and uses the plan from the second on."""
TIMEOUT = 240.0
"""Seconds; the host waits longer for an answer of a device."""
_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")
_RESET_PEAK = "5"
_SET_THP_DISABLE, _GET_THP_DISABLE = 41, 42
"""Of prctl(2)."""
_START = (
    "import json, sys; order = json.loads(sys.argv[1]); sys.path = order['path']; "
    "from gnv2_nas.runner import peak_memory; peak_memory.main(order)"
)


def is_available() -> bool:
    """Return whether this system tells the peak."""
    return _CLEAR.exists()


def measure_peak_memory(
    files: Sequence[str],
    minimal: Sequence[str],
    engine: str,
    threads: int,
    precision: str = "fp32",
    processor: str = "cpu",
) -> int:
    """Return the peak resident memory of a running network above that of its runtime, in bytes.

    Args:
        files: paths of the network's files, see `Runtime.write`.
        minimal: those of a network with the same kinds of operators and next to no weights.
        engine: see `sessions.open_session`, as for the other arguments.

    Raises:
        MeasurementError: the engine refused the files, the process failed, or this system does not
            tell the peak.
    """
    order = {"path": sys.path, "networks": [list(minimal), list(files)]}
    order["session"] = [engine, threads, precision, processor]
    try:
        # In a session of its own, Ctrl-C does not end it: the caller decides what is completed.
        completed = subprocess.run(  # noqa: S603
            _command(order), stdin=subprocess.DEVNULL, capture_output=True, text=True,
            errors="replace", timeout=TIMEOUT, start_new_session=True,
            env=huge_pages.plain_environment(),
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise MeasurementError(
            f"a process that measures memory did not end within {TIMEOUT:.0f} s"
        ) from None
    try:
        answer = json.loads(completed.stdout)
    except ValueError:
        raise MeasurementError(_explain_end(completed)) from None
    if "refused" in answer:
        raise MeasurementError(answer["refused"])
    return int(answer["bytes"])


def main(order: Mapping[str, Any]) -> None:
    """Measure what the order of the parent process names, and write the answer."""
    _use_small_pages(order)
    answers = os.dup(1)
    os.dup2(2, 1)  # what engines print goes to the errors
    try:
        answer: dict[str, Any] = {"bytes": _measure(*order["networks"], *order["session"])}
    except MeasurementError as error:
        answer = {"refused": str(error)}
    with os.fdopen(answers, "w") as output:
        json.dump(answer, output)


def _measure(minimal: Sequence[str], files: Sequence[str], *session: Any) -> int:
    kept = _open(minimal, *session)
    _run(kept)
    own = _start_anew()
    network = _open(files, *session)
    _start_anew()
    _run(network)
    return _read("VmHWM") - own


def _open(paths: Sequence[str], *session: Any) -> Session:
    engine, *options = session
    files = {path.suffix: path.read_bytes() for path in map(Path, paths)}
    return open_session(engine, files, *options)


def _run(session: Session) -> None:
    for _ in range(RUNS):
        session.run()


def _start_anew() -> int:
    """Give freed memory back, start the peak anew, and return the bytes that are resident now."""
    gc.collect()
    with contextlib.suppress(AttributeError):  # not glibc
        ctypes.CDLL(None).malloc_trim(0)
    try:
        _CLEAR.write_text(_RESET_PEAK)
    except OSError as error:
        raise MeasurementError(f"this system does not tell peak memory: {error}") from None
    return _read("VmHWM")


def _read(field: str) -> int:
    """Return a field of the process's status, in bytes."""
    found = re.search(rf"^{field}:\s*(\d+) kB", _STATUS.read_text(), re.MULTILINE)
    if found is None:
        raise MeasurementError(f"this system does not tell peak memory: {_STATUS} has no {field}")
    return int(found[1]) * 1024


def _command(order: Mapping[str, Any]) -> list[str]:
    return [sys.executable, "-I", "-c", _START, json.dumps(order)]


def _use_small_pages(order: Mapping[str, Any]) -> None:
    """Start this process again without huge pages, unless it has none."""
    with contextlib.suppress(AttributeError):  # not Linux
        prctl = ctypes.CDLL(None).prctl
        if prctl(_GET_THP_DISABLE, 0, 0, 0, 0) == 0 == prctl(_SET_THP_DISABLE, 1, 0, 0, 0):
            command = _command(order)
            os.execv(command[0], command)  # noqa: S606


def _explain_end(completed: subprocess.CompletedProcess[str]) -> str:
    if completed.returncode == -signal.SIGKILL:
        return "the process that measures memory was killed, perhaps because memory ran out"
    said = completed.stderr.strip().splitlines()
    why = f": {said[-1][:200]}" if said else ""
    return f"the process that measures memory ended with exit code {completed.returncode}{why}"
