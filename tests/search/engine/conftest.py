"""A cluster of Ray with two nodes on this machine."""

from __future__ import annotations

import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gnv2_nas.search.engine.cluster import connected


@pytest.fixture(scope="module", autouse=True)
def ray_folder() -> Iterator[str]:
    """A folder of Ray's own, and a token, which Ray reads when it is imported."""
    folder = tempfile.mkdtemp(prefix="ray-", dir="/tmp")  # names of sockets must be short
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_TMPDIR", folder)
        patch.setenv("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")  # loopback
        patch.setenv("RAY_worker_niceness", "0")  # a busy machine would starve workers
        patch.setenv("RAY_AUTH_MODE", "token")
        patch.setenv("RAY_AUTH_TOKEN", "a token of the tests")
        yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def ray_package(ray_folder) -> Any:
    """Ray, for tests that cannot do without the extra."""
    return pytest.importorskip("ray")


@pytest.fixture(scope="module")
def cluster(ray_folder, ray_package) -> Iterator[Any]:
    """A cluster on this machine, which this process is connected to."""
    from ray.cluster_utils import Cluster

    terminated = signal.getsignal(signal.SIGTERM)
    node = {"num_cpus": 2, "node_ip_address": "127.0.0.1", "plasma_directory": ray_folder}
    head = {"no_monitor": True, "include_dashboard": False, "include_log_monitor": False}
    started = Cluster(initialize_head=True, head_node_args=node | head)
    started.add_node(**node)
    with connected("auto", 0):
        signal.signal(signal.SIGTERM, terminated)
        yield started
    started.shutdown()


@pytest.fixture(scope="module")
def here(tmp_path_factory) -> Iterator[Path]:
    """A temporary folder, with a lock of its own."""
    folder = tmp_path_factory.mktemp("workers")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tempfile, "tempdir", str(folder))
        yield folder
