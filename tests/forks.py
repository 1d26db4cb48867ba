"""`gnv2-nas` in forks of one process that has imported everything heavy.

Starting takes most of the time of a short command. Each fork is a process of its own in all that
matters to a kill: memory, files, locks. Its measurements are short. `python -m tests.forks` is the
process that forks: it reads one command a line, as JSON, and ends when its input ends.
"""

from __future__ import annotations

import functools
import gc
import importlib
import json
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

from gnv2_nas.runner import huge_pages

ROOT = Path(__file__).parents[1]
HEAVY = (
    "torch", "torch._dynamo", "optuna", "onnx", "scipy.optimize", "pandas", "plotly.graph_objects",
    "plotly.io", "plotly.graph_objs.scatter", "plotly.animation", "pandas.io.formats.csvs",
    "pydantic.type_adapter", "rich.progress", "rich.traceback", "fvcore.nn", "safetensors.torch",
)  # fmt: skip
"""Not onnxruntime: it starts a thread when it is imported, and a fork has one thread alone."""
OURS = (
    "gnv2_nas.cli.progress", "gnv2_nas.workflows.search.run", "gnv2_nas.workflows.study",
    "gnv2_nas.workflows.profile.run", "gnv2_nas.workflows.export",
    "gnv2_nas.report.study_page.write",
    "gnv2_nas.report.model_card", "gnv2_nas.quality.proxies.zen", "gnv2_nas.formats.onnx.writer",
    "gnv2_nas.runtimes.parity",
)  # fmt: skip
ENVIRONMENT = {
    key: value for key, value in os.environ.items() if key not in ("FORCE_COLOR", "GITHUB_ACTIONS")
} | {"NO_COLOR": "1", "TERM": "dumb"}
"""Without what makes a terminal of a pipe, or colours where there are none."""


class Fork(NamedTuple):
    """A command that was started."""

    pid: int
    out: Path
    err: Path


class Forks:
    """Starts commands, and waits for them."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.forks"], cwd=ROOT, text=True,
            env={**huge_pages.environment(), **ENVIRONMENT},
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip

    def start(self, *arguments: object, cwd: Path, largest_file: int | None = None) -> Fork:
        """`gnv2-nas ARGUMENTS`; what it prints goes to files.

        Args:
            largest_file: bytes after which no file grows, as on a full disk.
        """
        folder = Path(tempfile.mkdtemp(prefix="fork-"))
        out, err = folder / "out", folder / "err"
        out.touch()
        err.touch()
        pid = self._ask(
            arguments=[*map(str, arguments)], cwd=str(cwd), out=str(out), err=str(err),
            largest_file=largest_file,
        )  # fmt: skip
        return Fork(pid, out, err)

    def wait(self, fork: Fork) -> int:
        """The exit code; negative for the signal that ended it."""
        return self._ask(wait=fork.pid)

    def run(self, *arguments: object, cwd: Path) -> tuple[int, str, str]:
        """Exit code, output and messages of a command."""
        fork = self.start(*arguments, cwd=cwd)
        code = self.wait(fork)
        return code, fork.out.read_text(), fork.err.read_text()

    def _ask(self, **question: Any) -> int:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(question) + "\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())


@functools.cache
def forks() -> Forks:
    """The process, started once for all tests; it ends with theirs."""
    return Forks()


def import_heavy() -> None:
    """Import the packages that commands use, and do what they do once in a process."""
    for name in HEAVY:
        importlib.import_module(name)
    # The first database of a process imports alembic and configures the classes of its tables.
    storage = importlib.import_module("optuna").storages.RDBStorage("sqlite://")
    storage.get_all_studies()
    storage.engine.dispose()


def shorten_measurements(rounds: int, sessions: int) -> None:
    """Limit every measurement of this process, calibrations included."""
    for name in ("batch", "calibration"):
        measuring: Any = importlib.import_module(f"gnv2_nas.measurement.{name}")
        measuring.MeasurementPlan = functools.partial(
            measuring.MeasurementPlan, rounds=rounds, max_sessions=sessions
        )
    measuring.PLAN = measuring.MeasurementPlan()


def _serve() -> None:
    gc.freeze()  # what was imported stays; otherwise each fork would look at it, and copy it
    for line in sys.stdin:
        asked = json.loads(line)
        if "wait" in asked:
            answer = os.waitstatus_to_exitcode(os.waitpid(asked["wait"], 0)[1])
        else:
            answer = os.fork()
            if answer == 0:
                _become(**asked)
        print(answer, flush=True)


def _become(
    arguments: list[str], cwd: str, out: str, err: str, largest_file: int | None
) -> NoReturn:
    """Be the command."""
    from gnv2_nas.cli import main

    if largest_file is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file, largest_file))
    os.chdir(cwd)
    for standard, path in ((1, out), (2, err)):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), standard)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    sys.argv = ["gnv2-nas", *arguments]
    try:
        main()
    except SystemExit as end:
        code = end.code
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code if isinstance(code, int) else 1)


if __name__ == "__main__":
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as `gnv2-nas` does before torch is loaded
    import_heavy()
    for name in OURS:
        importlib.import_module(name)
    shorten_measurements(rounds=5, sessions=2)
    _serve()
