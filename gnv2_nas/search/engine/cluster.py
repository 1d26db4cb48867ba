"""The connection to Ray: processes on this machine that end with the search, or a cluster."""

from __future__ import annotations

import logging
import math
import os
import re
import secrets
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, nullcontext
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from gnv2_nas.cores import memory_limit, usable_cores
from gnv2_nas.errors import InputError, RunError
from gnv2_nas.files.leftovers import create_aside, remove_leftovers
from gnv2_nas.runner.machine import memory_bytes
from gnv2_nas.search.storage.url import mask_command

AUTO = "auto"
"""Stands for the cluster that this machine belongs to."""
BYTES_A_WORKER = 350 * 2**20
"""Memory of a process that scores or trains, without images and weights."""
_CLIENT_PORT = 10001
"""Where a cluster listens for clients, unless `ray start` was told another port."""
_SECONDS_TO_ANSWER = 5.0
_OBJECT_STORE_BYTES = 80 * 2**20
"""Ray wants at least 75 MiB. Nothing of ours is large enough to be put there."""
_MAX_ROOT_BYTES = 9
"""The name of a socket has 107 bytes at most, of which 98 come after this folder."""
_REMOVALS = 100
_VERSIONS = re.compile(r"Ray: (\S+)\s+Python: (\S+)")


def needs_ray(workers: int, address: str) -> bool:
    """Whether `--workers` and `--ray` ask for processes of Ray."""
    return workers > 1 or bool(address)


def check_workers(workers: int, address: str) -> None:
    """Check the values of `--workers` and `--ray`.

    Raises:
        InputError: there are no workers or more than memory holds; see also `check_address`.
    """
    if workers < 1:
        raise InputError(f"--workers: `workers >= 1` must hold, but got {workers}")
    if needs_ray(workers, address):
        check_address(address)
        fitting = min(memory_bytes(), memory_limit() or sys.maxsize) // BYTES_A_WORKER
        if 0 < fitting < workers and not address:
            raise InputError(
                f"--workers: the memory of this machine holds at most {fitting} of them, but got "
                f"{workers}"
            )


def check_address(address: str) -> None:
    """Check the value of `--ray` ("" if it was not given), and that Ray is installed.

    Raises:
        InputError: the value is neither "auto" nor an address, or Ray is not installed.
    """
    if address not in ("", AUTO):
        _split(address)
    if find_spec("ray") is None:
        option = "--ray" if address else "--workers above 1"
        raise InputError(f"{option} needs Ray; install it: pip install 'gnv2-nas[ray]'")


def share_out(workers: int, address: str) -> tuple[str, dict[str, float]]:
    """What each worker gets: threads of torch, and resources as Ray counts them. Connect before."""
    import ray

    available: Any = ray.cluster_resources
    cores = 1 if address else max(1, usable_cores() // workers)
    threads = os.environ.get("OMP_NUM_THREADS") or str(cores)
    cpus = int(threads) if address and threads.isdecimal() else 1
    gpus = available().get("GPU", 0) / workers
    # Ray counts in ten thousandths, and whole ones above one.
    return threads, {"num_cpus": cpus, "num_gpus": min(1, math.floor(gpus * 1e4) / 1e4)}


@contextmanager
def connected(address: str, scorers: int) -> Iterator[None]:
    """Connect the program to Ray within the block. A connection that it has already is used.

    Call it in a thread that lives as long as the block, because Linux ends Ray with the thread,
    and not in the main thread, whose handling of SIGTERM Ray would replace.

    Args:
        address: of a cluster, see `check_address`; "" starts Ray on this machine.
        scorers: number of actors that Ray has room for if it is started.

    Raises:
        InputError: nobody answers, or another version of Ray or of Python does.
        RunError: Ray cannot be started.
    """
    if not address:
        os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
        # A worker that is stopped during a long measurement answers no one, and is not dead.
        os.environ.setdefault("RAY_grpc_client_keepalive_time_ms", "86400000")
    # `Head` ends the command earlier, in its own way.
    os.environ.setdefault("RAY_gcs_rpc_server_reconnect_timeout_s", "300")
    import ray

    if ray.is_initialized():
        yield
        return
    logging.getLogger("ray").setLevel(logging.CRITICAL)
    # Ray would print on standard output that an actor has died.
    vars(ray._private.worker)["_worker_logs_enabled"] = False
    # Ray shows everybody the command line, which may have the password of a database.
    command = mask_command(shlex.join(sys.argv))
    vars(ray._private.utils)["get_entrypoint_name"] = lambda: command
    with nullcontext() if address else _folder() as folder, ExitStack() as guards:
        others = _children()
        try:
            try:
                _init(ray, address, scorers, folder)
            except Exception as error:
                raise explain(error, address) from None
            if folder is not None:
                guards.enter_context(_guard(folder, _children() - others))
            yield
        finally:
            ray.shutdown(wait_for_processes=True)


@contextmanager
def connected_aside(address: str) -> Iterator[None]:
    """`connected` to a cluster, in a thread of its own."""
    with ThreadPoolExecutor(1) as thread, ExitStack() as connection:
        thread.submit(connection.enter_context, connected(address, 0)).result()
        try:
            yield
        finally:
            thread.submit(connection.close).result()


def _children() -> set[int]:
    import psutil

    return {each.pid for each in psutil.Process().children(recursive=True)}


@contextmanager
def _guard(folder: Path, processes: set[int]) -> Iterator[None]:
    """Kill processes and remove a folder when this process is killed.

    Linux then ends those that Ray has started from here, but theirs would look for them for a
    minute.
    """
    script = 'folder=$1; shift; cat; kill -9 "$@"; rm -rf "$folder"'
    command = ["/bin/sh", "-c", script, "sh", str(folder), *map(str, processes)]
    with subprocess.Popen(  # noqa: S603  of numbers and a name that we made
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as guard:
        try:
            yield
        finally:
            guard.kill()


def _init(ray: Any, address: str, scorers: int, folder: Path | None) -> None:
    quiet = {"log_to_driver": False, "configure_logging": False}
    if address:
        _check_answer(address)
        ray.init(address, **quiet)
        return
    # Where clusters are not enabled, Ray listens on 127.0.0.1 only.
    vars(ray._private.ray_constants)["ENABLE_RAY_CLUSTER"] = False
    ray.init(
        "local",
        num_cpus=scorers,
        include_dashboard=False,
        object_store_memory=_OBJECT_STORE_BYTES,
        # Otherwise Ray imports from the working folder, which holds the user's files.
        job_config=ray.job_config.JobConfig(_client_job=True),
        _temp_dir=f"{folder}/r",  # Ray opens its folder to everybody
        _plasma_directory=str(folder),
        **quiet,
    )


def _check_answer(address: str) -> None:
    """Ask a cluster once whether it is there. Ray would ask for a minute and print each attempt.

    Raises:
        InputError: the cluster has another token.
        ConnectionError: nobody answers.
    """
    import grpc
    from ray._private.grpc_utils import init_grpc_channel
    from ray._private.services import canonicalize_bootstrap_address

    if address == AUTO:
        target, protocol = canonicalize_bootstrap_address(AUTO), "gcs_service_pb2"
        if target is None:
            raise ConnectionError("none runs on this machine")
    else:
        host, port = _split(address)
        target, protocol = f"[{host}]:{port}" if ":" in host else f"{host}:{port}", "ray_client_pb2"
    messages: Any = import_module(f"ray.core.generated.{protocol}")
    services: Any = import_module(f"ray.core.generated.{protocol}_grpc")
    with init_grpc_channel(target) as channel:
        try:
            if address == AUTO:
                ask = services.NodeInfoGcsServiceStub(channel).CheckAlive
                ask(messages.CheckAliveRequest(), timeout=_SECONDS_TO_ANSWER)
            else:
                ping = messages.ClusterInfoRequest(type=messages.ClusterInfoType.PING)
                ask = services.RayletDriverStub(channel).ClusterInfo
                ask(ping, timeout=_SECONDS_TO_ANSWER)
        except grpc.RpcError as error:
            if error.code() is grpc.StatusCode.UNAUTHENTICATED:
                raise InputError(
                    f"--ray: the cluster at {address!r} has another token than this machine; copy "
                    "~/.ray/auth_token of its first machine and set RAY_AUTH_MODE=token"
                ) from None
            raise ConnectionError(error.details() or error.code().name) from None


def explain(error: Exception, address: str) -> InputError | RunError:
    """The error for what Ray raised when it was to be started or connected."""
    if isinstance(error, InputError):
        return error
    reason = (str(error).strip().splitlines() or [type(error).__name__])[-1]  # of a traceback
    if not address:
        return RunError(f"Ray cannot be started on this machine: {reason}")
    versions = _VERSIONS.findall(str(error))
    if len(versions) == 2:
        theirs, ours = (f"Ray {ray} and Python {python}" for ray, python in versions)
        return InputError(
            f"--ray: the cluster at {address!r} runs {theirs}, this machine {ours}; both must be "
            "the same on all machines"
        )
    if address == AUTO:
        return InputError(
            f"this machine is part of no cluster: {reason}; ray start --address HOST:6379 joins "
            "one, and ray start --head begins one (docs/cluster.md)"
        )
    return InputError(
        f"--ray: no cluster can be reached at {address!r}: {reason}; docs/cluster.md says how to "
        "start one"
    )


def _split(address: str) -> tuple[str, int]:
    try:
        parts = urlsplit(address)
        if parts.hostname and address == f"ray://{parts.netloc}":
            return parts.hostname, parts.port or _CLIENT_PORT
    except ValueError:  # the port is no number
        pass
    raise InputError(f"--ray: {address!r} is neither 'auto' nor like 'ray://HOST:{_CLIENT_PORT}'")


@contextmanager
def _folder() -> Iterator[Path]:
    """A private folder for Ray's logs and sockets; removes those that killed searches have left."""
    root = Path(tempfile.gettempdir())
    if len(os.fsencode(root)) > _MAX_ROOT_BYTES:
        root = Path("/tmp")  # noqa: S108  the folder is locked and private
    remove_leftovers(root)
    folder, lock = create_aside(root / "ray", folder=True)
    try:
        folder.chmod(0o700)
        yield folder
    finally:
        for _ in range(_REMOVALS):  # the last processes of Ray may still write
            shutil.rmtree(folder, ignore_errors=True)
            if not folder.exists():
                break
            time.sleep(0.05)
        os.close(lock)
