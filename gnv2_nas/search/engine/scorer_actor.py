"""A worker as a Ray actor: it makes its scorer once, then scores one network after the other.

What trains networks is made and asked in the same way. Imports little; making the scorer imports
torch. What it returns is bytes of our own, never a pickled object.
"""

from __future__ import annotations

import os
import platform
import signal
import sys
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Literal

import msgspec

from gnv2_nas.arch import Architecture
from gnv2_nas.errors import Gnv2NasError, InputError
from gnv2_nas.runner.lock import DeviceLock
from gnv2_nas.search.engine import Scorer, Work

_PR_SET_PDEATHSIG = 1


class Answer(msgspec.Struct, frozen=True):
    """What a scorer answers."""

    kind: Literal["done", "input", "memory", "failed"]
    """"input": an `InputError`, also of making what does the work. "memory": a `MemoryError`.
    "failed": any other exception."""
    text: str = ""
    """The answer of the work, or the reason of the failure."""


class ScorerActor:
    """Scores or trains in a process of Ray.

    On the search's own machine, the search holds the device lock for it and stops it while anybody
    measures. On another machine it takes the lock itself, for each network.

    Args:
        home: `identify_machine()` of the search.
        folder: working folder of the search, which names of files are relative to.
        threads: of torch.
    """

    def __init__(self, home: str, folder: str, threads: str) -> None:
        die_with_parent()
        self._here = identify_machine() == home
        self._folder = folder
        # Read when torch is loaded.
        os.environ.update(OMP_NUM_THREADS=threads, OMP_WAIT_POLICY="PASSIVE")

    def introduce(self) -> int:
        """The number of its process on the search's own machine; 0 on another."""
        return os.getpid() if self._here else 0

    def prepare(self, make_work: Callable[[], Work]) -> bytes:
        """Make what does the work; returns an `Answer` as JSON."""

        def prepare() -> str:
            if not Path(self._folder).is_dir():
                raise InputError(
                    f"there is no folder {self._folder!r}: run the command in a folder that all "
                    "machines share"
                )
            os.chdir(self._folder)
            self._work = make_work()
            return ""

        return self._answer(prepare)

    def compute(self, order: bytes) -> bytes:
        """Do one piece of work; returns an `Answer` as JSON."""
        return self._answer(lambda: self._work(order.decode()))

    def _answer(self, work: Callable[[], str]) -> bytes:
        try:
            with nullcontext() if self._here else DeviceLock.shared():
                answer = Answer("done", work())
        except InputError as error:
            where = "" if self._here else f"on machine {platform.node()!r} of the cluster: "
            answer = Answer("input", f"{where}{error}")
        except MemoryError:
            answer = Answer("memory")
        except Exception as error:
            answer = Answer("failed", in_one_line(error))
        return msgspec.json.encode(answer)


def check_content(name: str, wanted: str, found: str, what: str) -> None:
    """Check that a worker reads what the program that asks it has read.

    Args:
        name: of the file or folder.
        wanted: hash of its content there; "" if that is not known.
        found: hash of its content here; "" if there is none to compare.
        what: "search" or "training".

    Raises:
        InputError: the contents differ.
    """
    if found and wanted not in ("", found):
        raise InputError(
            f"the content of {name!r} is {found}, but was {wanted} when the {what} began; "
            "run it in a folder that all machines share, and leave its files as they are"
        )


def make_scoring(make_scorer: Callable[[], Scorer]) -> Work:
    """Make the work that scores a network given as JSON."""
    scorer = make_scorer()

    def score(text: str) -> str:
        # As Python writes it, because JSON has no infinity.
        return repr(float(scorer(Architecture.from_json(text))))

    return score


def identify_machine() -> str:
    """What distinguishes this machine, and in Linux this container, from others."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text()
        return boot + str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        return platform.node()


def in_one_line(error: BaseException) -> str:
    """The message of an error, with its type unless it is one of ours."""
    text = " ".join(str(error).split())
    if isinstance(error, Gnv2NasError):
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def die_with_parent() -> None:
    """On Linux, let the kernel kill this process with Ray's own, even if it is stopped or hangs."""
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
