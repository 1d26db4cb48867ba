"""The process of a worker: it makes a scorer once, then scores each architecture that it receives.

`worker_handle` starts it as a new interpreter. This module imports little; the scorer imports
torch.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import queue
import signal
import sys
import threading
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Literal

import msgspec

from gnv2_nas.arch import Architecture
from gnv2_nas.errors import Gnv2NasError, InputError
from gnv2_nas.search.engine import Scorer

_PR_SET_PDEATHSIG = 1


class Answer(msgspec.Struct, frozen=True):
    """What a worker answers."""

    kind: Literal["ready", "unready", "score", "input", "memory", "failed"]
    """"ready" or "unready": whether the scorer could be made. "input": an `InputError` of the
    scorer or of making it. "memory": a `MemoryError`. "failed": any other exception."""
    text: str = ""
    """The score as Python writes it, because JSON has no infinity; or the reason of the failure."""


def main(descriptor: int) -> None:
    """Make the scorer and score until the parent closes the connection or ends.

    Args:
        descriptor: of a connection. The parent sends the pickled maker of the scorer, then
            architectures as JSON.
    """
    _die_with_parent()
    connection: Connection = Connection(descriptor)
    inbox: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    threading.Thread(target=_receive, args=(connection, inbox), daemon=True).start()

    def answer(it: Answer) -> None:
        # If the parent has ended, the receiving thread ends this process.
        with contextlib.suppress(OSError):
            connection.send_bytes(msgspec.json.encode(it))

    scorer = _make_scorer(inbox.get(), answer)
    while scorer is not None:
        answer(_score(scorer, inbox.get()))


def _receive(connection: Connection, inbox: queue.SimpleQueue[bytes]) -> None:
    """Pass on what arrives; end this process when the connection ends."""
    try:
        while True:
            inbox.put(connection.recv_bytes())
    except (EOFError, OSError):
        os._exit(0)


def _die_with_parent() -> None:
    """On Linux, let the kernel kill this process with its parent, even if it is stopped or hangs.

    Elsewhere the process ends when its connection does.
    """
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _make_scorer(pickled: bytes, answer: Callable[[Answer], None]) -> Scorer | None:
    """Make the scorer; None if it failed, which the answer explains."""
    try:
        # The parent sent it, through a pipe that no other process has.
        scorer: Scorer = pickle.loads(pickled)()  # noqa: S301
    except InputError as error:
        answer(Answer("input", str(error)))
    except MemoryError:
        answer(Answer("memory"))
    except Exception as error:
        answer(Answer("unready", _in_one_line(error)))
    else:
        answer(Answer("ready"))
        return scorer
    return None


def _score(scorer: Scorer, architecture: bytes) -> Answer:
    try:
        score = float(scorer(Architecture.from_json(architecture.decode())))
    except InputError as error:
        return Answer("input", str(error))
    except MemoryError:
        return Answer("memory")
    except Exception as error:
        return Answer("failed", _in_one_line(error))
    return Answer("score", repr(score))


def _in_one_line(error: Exception) -> str:
    text = " ".join(str(error).split())
    if isinstance(error, Gnv2NasError):
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
