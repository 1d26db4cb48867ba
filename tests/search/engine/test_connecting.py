"""How a search connects to Ray: what clusters answer."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import MappingProxyType, SimpleNamespace
from typing import Any

import psutil
import pytest

from gnv2_nas.errors import RunError, UnknownNameError
from gnv2_nas.runner import huge_pages
from gnv2_nas.search.engine import cluster as connections
from gnv2_nas.search.engine import head as heads
from gnv2_nas.search.storage.studies import open_study
from tests.search.spaces import SMALL, write_space
from tests.waiting import PATIENCE, until

ROOT = Path(__file__).parents[3]
OTHER_VERSION = "2.59.1"
SLOWLY = 4 * PATIENCE
"""A busy machine may take half a minute to start a search and a worker."""


def start(
    *arguments: str, environment: Mapping[str, str] = MappingProxyType({})
) -> subprocess.Popen[str]:
    """Start `tests.search.engine.connecting` in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "tests.search.engine.connecting", *arguments],
        cwd=ROOT, env={**os.environ, **environment}, text=True, stdout=subprocess.PIPE,
    )  # fmt: skip


def answer(process: subprocess.Popen[str]) -> Any:
    out, _ = process.communicate(timeout=2 * PATIENCE)
    assert process.returncode == 0
    return json.loads(out)


@contextmanager
def pretending_other_version(there: Any) -> Iterator[None]:
    """Let a cluster say what one of another version of Ray would."""
    from ray._common.usage.usage_constants import CLUSTER_METADATA_KEY
    from ray._private.ray_constants import KV_NAMESPACE_CLUSTER
    from ray._raylet import GcsClient

    client = GcsClient(address=there.address)
    about = client.internal_kv_get(CLUSTER_METADATA_KEY, KV_NAMESPACE_CLUSTER)
    said = json.dumps(json.loads(about) | {"ray_version": OTHER_VERSION}).encode()
    client.internal_kv_put(CLUSTER_METADATA_KEY, said, True, KV_NAMESPACE_CLUSTER)
    yield
    client.internal_kv_put(CLUSTER_METADATA_KEY, about, True, KV_NAMESPACE_CLUSTER)


def test_a_cluster_with_another_token_or_version_is_refused_in_one_line(cluster):
    there = {"RAY_ADDRESS": cluster.address}
    with pretending_other_version(cluster):
        others = start("auto", environment=there | {"RAY_AUTH_TOKEN": "another token"})
        ours = start("auto", environment=there)
        assert answer(others) == [
            "2 --ray: the cluster at 'auto' has another token than this machine; copy "
            "~/.ray/auth_token of its first machine and set RAY_AUTH_MODE=token"
        ]
        (refused,) = answer(ours)
    assert refused.startswith(f"2 --ray: the cluster at 'auto' runs Ray {OTHER_VERSION} and Python")
    assert refused.endswith("both must be the same on all machines")


@pytest.mark.usefixtures("ray_package")
def test_one_who_listens_and_says_nothing_is_refused_soon(monkeypatch):
    monkeypatch.setattr(connections, "_SECONDS_TO_ANSWER", 0.2)
    with socket.socket() as mute:
        mute.bind(("127.0.0.1", 0))
        mute.listen()
        with pytest.raises(ConnectionError):
            connections._check_answer(f"ray://127.0.0.1:{mute.getsockname()[1]}")


def start_search(folder: Path, there: Any) -> subprocess.Popen[str]:
    """Start a search that a worker of the cluster scores for."""
    write_space(folder, SMALL)
    command = (
        "search", "--space", "small.yaml", "--objectives", "quality,macs", "--quality", "params",
        "--sampler", "random", "--ablations", "0", "--study", "demo", "--trials", "280",
        "--workers", "1", "--ray", "auto",
    )  # fmt: skip
    environment = {
        **huge_pages.environment(),  # otherwise it would start again with them
        "PYTHONPATH": str(ROOT), "RAY_ADDRESS": there.address,
        "TMPDIR": str(folder),  # it waits for nobody who measures
    }  # fmt: skip
    return subprocess.Popen(
        [sys.executable, "-m", "tests.search.engine.searching", *command],
        cwd=folder, env=environment,
        text=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
    )  # fmt: skip


def found(folder: Path) -> list[tuple[str, float | None]]:
    """Networks and scores of the study."""
    with suppress(UnknownNameError):
        trials = open_study(f"sqlite:///{folder}/studies.db", "demo").trials()
        return [(each.architecture.id, each.quality) for each in trials]
    return []


def worker_process() -> int:
    """The process on the cluster that scores."""
    children = psutil.Process().children(recursive=True)
    (pid,) = [each.pid for each in children if each.name().startswith("ray::ScorerActor")]
    return pid


def test_a_killed_search_continues_and_one_without_its_cluster_ends_in_one_line(cluster, tmp_path):
    search = start_search(tmp_path, cluster)
    until(lambda: len(found(tmp_path)) > 8, SLOWLY)
    search.kill()
    search.communicate()
    killed = found(tmp_path)
    search = start_search(tmp_path, cluster)
    until(lambda: len(found(tmp_path)) > len(killed), SLOWLY)
    os.kill(worker_process(), signal.SIGSTOP)  # it must not be done before it ends
    cluster.head_node.kill_gcs_server()
    _, err = search.communicate(timeout=SLOWLY)
    assert search.returncode == 1
    (line,) = [each for each in err.splitlines() if each.startswith("error")]
    assert "the first machine of the cluster (127.0.0.1:" in line
    assert line.endswith("is kept: start the cluster again, then run the same command again")
    after = found(tmp_path)
    assert after[: len(killed)] == killed
    assert len({network for network, _ in after}) == len(after) < 280


@pytest.mark.usefixtures("ray_package")
def test_a_head_is_given_up_when_it_was_silent_all_the_time(monkeypatch):
    import ray

    clock = SimpleNamespace(now=1.0, monotonic=lambda: clock.now)
    monkeypatch.setattr(heads, "time", clock)
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        context = SimpleNamespace(gcs_address=address)
        monkeypatch.setattr(ray, "get_runtime_context", lambda: context)
        head = heads.Head()
        assert head.answers()
    clock.now += 10 * heads.MAX_SECONDS_SILENT  # nobody asked
    assert not head.answers()
    clock.now += heads.MAX_SECONDS_SILENT
    with pytest.raises(RunError, match=f"cluster .{address}. has not answered for 30 s"):
        head.answers()
