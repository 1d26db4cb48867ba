"""Searches of several processes: workers, and two searches that share a study."""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Sequence
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


def workers_of(search: Fork) -> list[int]:
    """The processes that it, whichever of its threads, has started and that are there."""
    threads = Path(f"/proc/{search.pid}/task").iterdir()
    return [int(pid) for each in threads for pid in (each / "children").read_text().split()]


@pytest.fixture(scope="module")
def alone(ready: Forks, tmp_path_factory: pytest.TempPathFactory) -> Sequence[tuple]:
    """What a search without workers finds."""
    folder = tmp_path_factory.mktemp("alone") / "here"
    folder.mkdir()
    write_space(folder, SMALL)
    code, _, err = ready.run(*SCORED, "--trials", 20, cwd=folder)
    assert code == 0, err
    return scores(folder)


def test_workers_find_the_same_networks_and_scores_even_when_one_is_killed(ready, folder, alone):
    search = ready.start(*SCORED, "--trials", 20, "--workers", 2, cwd=folder)
    until(lambda: len(workers_of(search)) == 2)
    first = workers_of(search)
    os.kill(first[0], signal.SIGKILL)
    assert ready.wait(search) == 0, search.err.read_text()
    assert "not scored" not in search.err.read_text()
    assert scores(folder) == alone
    assert sum(quality is not None for _, quality in alone) > 20
    assert all_gone(first)


def test_an_interrupted_search_leaves_no_worker_behind(ready, folder):
    search = ready.start(*SCORED, "--trials", 280, "--workers", 2, cwd=folder)
    until(lambda: len(workers_of(search)) == 2)
    workers = workers_of(search)
    os.kill(search.pid, signal.SIGINT)
    assert ready.wait(search) == 128 + signal.SIGINT
    assert "interrupted; run the same command again to continue" in search.err.read_text()
    assert all_gone(workers)


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
