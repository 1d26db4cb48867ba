"""One real search that several tests look at."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import NamedTuple

import pytest

from gnv2_nas.search.storage.studies import open_study
from gnv2_nas.search.study.records import StudyRecord
from tests.cli.command import Answer, gnv2_nas
from tests.search.spaces import SMALL, write_space

SEARCH = (
    "search", "--space", "small.yaml", "--budget", "0.9MFLOPs", "--study", "demo",
    "--ablations", "1",
)  # fmt: skip


class Flow(NamedTuple):
    """A working directory after a search, and what the search printed."""

    folder: Path
    out: str
    err: str

    def record(self) -> StudyRecord:
        return open_study(f"sqlite:///{self.folder}/studies.db", "demo").record()

    def run(self, *arguments: object) -> Answer:
        answer = gnv2_nas(*arguments, cwd=self.folder)
        assert answer.code == 0, answer.err
        return answer


def searched(factory: pytest.TempPathFactory) -> Flow:
    """Search with the default score and real measurements, once for all workers of a test run."""
    base = factory.getbasetemp()
    base = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    folder, out, err = base / "flow", base / "flow.out", base / "flow.err"
    with (base / "flow.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not err.exists():
            folder.mkdir(exist_ok=True)
            write_space(folder, SMALL)
            answer = gnv2_nas(*SEARCH, "--trials", 2, cwd=folder)
            assert answer.code == 0, answer.err
            out.write_text(answer.out)
            err.write_text(answer.err)
    return Flow(folder, out.read_text(), err.read_text())
