"""Searches of several processes: workers, and two searches that share a study."""

from __future__ import annotations

import os
import re
import signal
from collections import Counter
from collections.abc import Collection, Sequence
from contextlib import suppress
from pathlib import Path

import pytest

from gnv2_nas.search.storage.studies import open_study
from gnv2_nas.search.study.records import Trial
from tests.forks import Fork, Forks, forks
from tests.search.spaces import AT_32, SMALL, write_space
from tests.waiting import all_gone, until

COUNTED = ("--space", "small.yaml", "--objectives", "quality,macs", "--study", "demo")
SCORED = ("search", *COUNTED, "--quality", "zen", "--sampler", "random", "--ablations", 2)


@pytest.fixture(scope="module")
def ready() -> Forks:
    return forks()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    here = tmp_path / "here"
    here.mkdir()
    write_space(here, SMALL)
    return here


def found(folder: Path) -> Sequence[Trial]:
    return open_study(f"sqlite:///{folder}/studies.db", "demo").trials()


def scores(folder: Path) -> list[tuple[str, float | None]]:
    return [(each.architecture.id, each.quality) for each in found(folder)]


def descendants(pid: int) -> list[int]:
    """The processes that it and they, whichever of their threads, have started."""
    threads = Path(f"/proc/{pid}/task").iterdir()
    found = [int(each) for one in threads for each in (one / "children").read_text().split()]
    return found + [each for one in found for each in descendants(one)]


def workers_of(search: Fork) -> list[int]:
    """Its processes of Ray that score."""
    with suppress(FileNotFoundError, ProcessLookupError):
        return [
            pid
            for pid in descendants(search.pid)
            if Path(f"/proc/{pid}/comm").read_text().startswith("ray::Scorer")
        ]
    return []


def listening(pids: Collection[int]) -> set[str]:
    """Addresses that processes listen on, as hexadecimal digits."""
    files = [file for pid in pids for file in Path(f"/proc/{pid}/fd").iterdir()]
    sockets = {str(file.readlink()) for file in files if file.is_symlink()}
    tables = [Path(f"/proc/net/{name}").read_text() for name in ("tcp", "tcp6")]
    rows = [line.split() for table in tables for line in table.splitlines()[1:]]
    listens = [row for row in rows if row[3] == "0A" and f"socket:[{row[9]}]" in sockets]
    return {row[1].partition(":")[0] for row in listens}


@pytest.fixture(scope="module")
def alone(ready: Forks, tmp_path_factory: pytest.TempPathFactory) -> Sequence[tuple]:
    """What a search without workers finds."""
    folder = tmp_path_factory.mktemp("alone") / "here"
    folder.mkdir()
    write_space(folder, SMALL)
    code, _, err = ready.run(*SCORED, "--trials", 20, cwd=folder)
    assert code == 0, err
    return scores(folder)


def test_workers_find_the_same_scores_and_nothing_survives_a_killed_search(ready, folder, alone):
    pytest.importorskip("ray")
    command = (*SCORED, "--trials", 20, "--workers", 2)
    search = ready.start(*command, cwd=folder)
    until(lambda: len(workers_of(search)) == 2)
    processes = descendants(search.pid)
    # 127.0.0.1 in version 4, and as version 6 writes it.
    assert listening(processes) <= {"0100007F", "0000000000000000FFFF00000100007F"} != set()
    lines = " ".join(Path(f"/proc/{pid}/cmdline").read_text() for pid in processes)
    (files,) = set(re.findall(r"/tmp/\.ray\.[\w.-]+", lines))  # noqa: S108
    assert Path(files).stat().st_mode & 0o777 == 0o700
    os.kill(workers_of(search)[0], signal.SIGKILL)
    until(lambda: (folder / "studies.db").exists() and len(found(folder)) > 2)
    processes = descendants(search.pid)
    os.kill(search.pid, signal.SIGKILL)
    until(lambda: all_gone(processes))
    ready.wait(search)
    before = scores(folder)
    code, _, err = ready.run(*command, cwd=folder)
    assert code == 0, err
    assert "not scored" not in err
    after = scores(folder)
    assert after[: len(before)] == before
    known = dict(alone)
    assert all(known.get(network, score) == score for network, score in after)
    assert sum(score is not None for _, score in after) > 20
    assert len({network for network, _ in after}) == len(after)
    assert not Path(files).exists()


@pytest.mark.slow
def test_an_interrupted_search_leaves_no_process_behind(ready, folder):
    search = ready.start(*SCORED, "--trials", 280, "--workers", 2, cwd=folder)
    until(lambda: len(workers_of(search)) == 2)
    processes = descendants(search.pid)
    os.kill(search.pid, signal.SIGINT)
    assert ready.wait(search) == 128 + signal.SIGINT
    assert "interrupted; run the same command again to continue" in search.err.read_text()
    assert all_gone(processes)


def test_two_searches_on_one_study_share_the_work(ready, folder):
    command = ("search", *COUNTED, "--quality", "params", "--trials", 40, "--ablations", 0)
    both = [ready.start(*command, cwd=folder), ready.start(*command, cwd=folder)]
    assert [ready.wait(each) for each in both] == [0, 0]
    candidates = found(folder)
    # Both may have begun their last batch of 8 before they heard of the other's.
    assert 40 <= sum(not each.baseline for each in candidates) <= 40 + 8
    assert max(Counter(each.architecture.id for each in candidates).values()) == 1
    labels = [each.baseline for each in candidates if each.baseline]
    assert sorted(labels) == AT_32
