"""Scorers that do what a test tells them to, in the processes of workers. Imports nothing heavy."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from gnv2_nas.arch import Architecture, GhostBlock, GhostModule
from gnv2_nas.errors import DataError

Script = Mapping[int, Sequence[str]]
"""Number of a network → what each attempt at it does, see `DEEDS`; "score" where it says nothing.
"""


def network(number: int) -> Architecture:
    """A small network for so many classes; its number is its score."""
    block = GhostBlock(
        hidden_channels=8, out_channels=8, kernel=3, stride=1, se_channels=0,
        ghost1=GhostModule(), ghost2=GhostModule(),
    )  # fmt: skip
    return Architecture(
        blocks=(block,), stem_channels=8, conv_channels=8, head_channels=8, resolution=32,
        num_classes=number,
    )  # fmt: skip


def scripted(folder: Path, script: Script) -> Callable[[Architecture], float]:
    """Make a scorer that follows a script. Each attempt leaves a line in a file named like the
    network's number: the pid of its process."""

    def score(arch: Architecture) -> float:
        number = arch.num_classes
        with (folder / str(number)).open("a") as file:
            file.write(f"{os.getpid()}\n")
        attempt = len(attempts(folder, number)) - 1
        deeds = script.get(number, ())
        result = DEEDS[deeds[attempt]](folder) if attempt < len(deeds) else None
        return float(number if result is None else result)

    return score


def attempts(folder: Path, number: int) -> list[int]:
    """The processes that tried a network, in order."""
    file = folder / str(number)
    return [int(line) for line in file.read_text().splitlines()] if file.exists() else []


def _hang(_: Path) -> None:
    threading.Event().wait()


def _spin(folder: Path) -> None:
    """Count as fast as possible, until there is a file `enough`."""
    count = 0
    while not (folder / "enough").exists():
        count += 1
        (folder / f"count-{os.getpid()}").write_text(str(count))


def _raise(_: Path) -> None:
    raise ValueError("no such\nlayer")


def _out_of_memory(_: Path) -> None:
    bytearray(1 << 60)


def _refuse(_: Path) -> None:
    raise DataError("the images are gone")


DEEDS: Mapping[str, Callable[[Path], float | None]] = {
    "score": lambda _: None,
    "hang": _hang,
    "spin": _spin,
    "raise": _raise,
    "out of memory": _out_of_memory,
    "refuse": _refuse,
    "exit": lambda _: os._exit(3),
    "killed": lambda _: signal.raise_signal(signal.SIGKILL),
    "infinite": lambda _: float("-inf"),
    "undefined": lambda _: float("nan"),
    "third": lambda _: 1 / 3,
    "threads": lambda _: float(os.environ["OMP_NUM_THREADS"]),
    "torch": lambda _: "torch" in sys.modules,
    "own group": lambda _: os.getpgrp() == os.getpid(),
}


def broken(text: str) -> Callable[[Architecture], float]:
    raise OSError(text)


def refused(text: str) -> Callable[[Architecture], float]:
    raise DataError(text)


def out_of_memory() -> Callable[[Architecture], float]:
    raise MemoryError


def never_ready(folder: Path) -> Callable[[Architecture], float]:
    (folder / f"making-{os.getpid()}").touch()
    threading.Event().wait()
    raise AssertionError
