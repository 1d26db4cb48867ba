"""Serving devices of this host to searches, until the process ends. It must be connected to Ray."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import msgspec

from gnv2_nas.devices.profile import DeviceProfile
from gnv2_nas.errors import DeviceError, InputError
from gnv2_nas.runner import huge_pages
from gnv2_nas.search.farm.directory import NAMESPACE, describe
from gnv2_nas.search.farm.measuring_actor import MeasuringActor

MAX_RESTARTS = 3
"""How often Ray starts the process of a device again, so that one that crashes ends at last."""
SECONDS_TO_RESTART = 1.0
ENVIRONMENT = (
    "PATH", "HOME", "TMPDIR", "SSH_AUTH_SOCK", "ADB_SERVER_SOCKET", "ANDROID_ADB_SERVER_PORT",
    "OMP_NUM_THREADS", "OMP_WAIT_POLICY",
)  # fmt: skip
"""What reaching and measuring a device depends on. Ray was started from another shell, perhaps."""


def serve(devices: Mapping[str, DeviceProfile], tell: Callable[[str], None]) -> None:
    """Serve devices until an interrupt, or until none has a process any more.

    Args:
        devices: label → profile.
        tell: receives a sentence when a search uses a device, and when one fails.

    Raises:
        InputError: another host serves a device of that name.
        DeviceError: the processes of all devices have ended.
    """
    import ray

    actors, watches = dict[str, Any](), list[threading.Thread]()
    news: SimpleQueue[str | None] = SimpleQueue()
    try:
        for name, profile in devices.items():
            actors[name] = _start(name, profile)
        for name, actor in actors.items():
            tell(f"device {name}: served by {describe(name).host}")
            watches.append(threading.Thread(target=_watch, args=(name, actor, news.put)))
            watches[-1].start()
        left = len(actors)
        while left:
            sentence = news.get()
            if sentence is None:
                left -= 1
            else:
                tell(sentence)
    finally:
        for actor in actors.values():
            ray.kill(actor)
        for watch in watches:  # Ray must not be left while they use it
            watch.join()
    raise DeviceError("no device is served any more; start gnv2-nas farm again")


def _start(name: str, profile: DeviceProfile) -> Any:
    """Start the process of a device on this host. It ends with this process, even by SIGKILL."""
    import ray

    remote: Any = ray.remote(MeasuringActor)
    context: Any = ray.get_runtime_context()
    # The C library reads it when a process starts.
    tunables = huge_pages.environment().get(huge_pages.VARIABLE)
    try:
        return remote.options(
            name=name,
            namespace=NAMESPACE,
            num_cpus=0,
            max_restarts=MAX_RESTARTS,
            max_task_retries=0,
            label_selector={"ray.io/node-id": context.get_node_id()},
            runtime_env={"env_vars": {huge_pages.VARIABLE: tunables}} if tunables else None,
        ).remote(
            name,
            msgspec.json.encode(profile),
            str(Path.cwd()),
            {variable: os.environ.get(variable) for variable in ENVIRONMENT},
        )
    except ValueError:
        raise InputError(
            f"device {name!r}: {describe(name).host} serves one of this name already; end that "
            "farm, or give this device a profile with another name"
        ) from None


def _watch(name: str, actor: Any, tell: Callable[[str | None], None]) -> None:
    """Tell what the process of a device says, until it has ended for good; then None."""
    import ray

    while True:
        try:
            tell(ray.get(actor.listen.remote()))
        except ray.exceptions.ActorUnavailableError:
            tell(f"device {name}: its process ended unexpectedly; a new one starts")
            time.sleep(SECONDS_TO_RESTART)
        except ray.exceptions.RayError:
            tell(f"device {name}: its process ended; it is not served any more")
            return tell(None)
