"""Start Ray on this machine as a search does, and print what it knows: for `test_secrets`."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

from gnv2_nas.search.engine.cluster import connected


def look() -> dict[str, list[str]]:
    """Command lines, environments and files of Ray, and what it tells about its jobs."""
    with connected("", 1):
        import psutil
        import ray
        from ray._private.state import state

        ray.get(ray.remote(_nothing).remote())  # a worker has started
        lines, environments, files = [], [], []
        for process in psutil.Process().children(recursive=True):
            with suppress(psutil.NoSuchProcess):
                lines.append(" ".join(process.cmdline()))
                environments.append(str(process.environ()))
        folder = Path(ray._private.worker.global_worker.node.get_session_dir_path())
        for file in folder.parent.rglob("*"):
            with suppress(OSError):  # a folder, a socket, or gone
                files.append(file.read_text(errors="replace"))
        jobs = [str(each) for each in state.job_table()]
    return {"command lines": lines, "environments": environments, "files": files, "jobs": jobs}


def _nothing() -> None: ...


if __name__ == "__main__":
    print(json.dumps(look()))
