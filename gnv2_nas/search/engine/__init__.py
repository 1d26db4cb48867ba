"""How networks are scored and trained outside the process of the command.

The search knows the protocol `ScoringBackend` only. Processes, signals and retries are the
backend's own matter.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager
from typing import Protocol

import msgspec

from gnv2_nas.arch import Architecture

Scorer = Callable[[Architecture], float]
"""Gives the quality of a network."""
Work = Callable[[str], str]
"""Does one piece of work in a worker; order and answer are text of our own, such as JSON."""


class ScoringFailure(msgspec.Struct, frozen=True):
    """Stands for the score of a network that could not be scored."""

    reason: str


class OutOfTime(msgspec.Struct, frozen=True):
    """Stands for the score of a network that the time was too short for."""


class ScoringBackend(Protocol):
    """Scores networks elsewhere, several at once."""

    @property
    def count(self) -> int:
        """Number of networks that it scores at the same time, at most."""

    def submit(self, architecture: Architecture) -> Future[float | ScoringFailure]:
        """Have a network scored while the caller continues.

        The future raises `InputError` if the scorer did, and `RunError` if there can be no scorer.
        """

    def scores(
        self,
        architectures: Sequence[Architecture],
        observe: Callable[[int], None] = ...,
        seconds: float | None = None,
    ) -> list[float | ScoringFailure | OutOfTime]:
        """Scores in the order of the networks.

        Args:
            architectures: the networks.
            observe: called with the number of networks scored so far.
            seconds: how long to wait; None waits for all.

        Raises:
            InputError: the scorer raised one: asking again will not help.
            RunError: the scorer cannot be made.
        """

    def paused(self) -> AbstractContextManager[None]:
        """Nothing is computed on this machine within the block. Wrap every measurement in it."""

    def close(self) -> None:
        """End all work. Networks without a score never get one."""
