"""How a search connects to Ray: what clusters answer."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from gnv2_nas.search.engine import cluster as connections
from tests.waiting import PATIENCE

ROOT = Path(__file__).parents[3]
OTHER_VERSION = "2.59.1"


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


def pretend_other_version(there: Any) -> None:
    """Let a cluster say what one of another version of Ray would."""
    from ray._common.usage.usage_constants import CLUSTER_METADATA_KEY
    from ray._private.ray_constants import KV_NAMESPACE_CLUSTER
    from ray._raylet import GcsClient

    client = GcsClient(address=there.address)
    about = json.loads(client.internal_kv_get(CLUSTER_METADATA_KEY, KV_NAMESPACE_CLUSTER))
    said = json.dumps(about | {"ray_version": OTHER_VERSION}).encode()
    client.internal_kv_put(CLUSTER_METADATA_KEY, said, True, KV_NAMESPACE_CLUSTER)


def test_a_cluster_with_another_token_or_version_is_refused_in_one_line(cluster):
    pretend_other_version(cluster)
    there = {"RAY_ADDRESS": cluster.address}
    others = start("auto", environment=there | {"RAY_AUTH_TOKEN": "another token"})
    ours = start("auto", environment=there)
    assert answer(others) == [
        "2 --ray: the cluster at 'auto' has another token than this machine; copy "
        "~/.ray/auth_token of its first machine and set RAY_AUTH_MODE=token"
    ]
    (refused,) = answer(ours)
    assert refused.startswith(f"2 --ray: the cluster at 'auto' runs Ray {OTHER_VERSION} and Python")
    assert refused.endswith("both must be the same on all machines")


def test_one_who_listens_and_says_nothing_is_refused_soon(monkeypatch):
    monkeypatch.setattr(connections, "_SECONDS_TO_ANSWER", 0.2)
    with socket.socket() as mute:
        mute.bind(("127.0.0.1", 0))
        mute.listen()
        with pytest.raises(ConnectionError):
            connections._check_answer(f"ray://127.0.0.1:{mute.getsockname()[1]}")
