"""A file of accuracies, so that no network is evaluated twice."""

from __future__ import annotations

import hashlib
from pathlib import Path

import msgspec

from gnv2_nas.arch import Architecture
from gnv2_nas.files.journal import Journal
from gnv2_nas.files.outputs import Kind, holds_fields


class AccuracyRecord(msgspec.Struct, frozen=True):
    """The accuracy of one network."""

    network: str
    """`Architecture.id` of the network."""
    seed: int
    conditions: str
    """Hash of everything else that decides the accuracy."""
    accuracy: float
    """Accuracy on held-out images, per cent."""
    seconds: float


ACCURACIES = Kind(
    "the accuracies found so far",
    lambda path: path.stat().st_size == 0 or holds_fields(path, "network", "seed", "accuracy"),
)


class AccuracyJournal:
    """Accuracies of networks under the same conditions, one line each in a file.

    Args:
        path: the file; it may also contain accuracies under other conditions.
        conditions: everything that decides an accuracy besides network and seed.
    """

    def __init__(self, path: Path, *conditions: str) -> None:
        self._journal = Journal(path, AccuracyRecord)
        self._conditions = hashlib.sha256(" ".join(conditions).encode()).hexdigest()[:12]
        self._known = {
            (each.network, each.seed): each
            for each in self._journal.read()
            if each.conditions == self._conditions
        }

    def find(self, arch: Architecture, seed: int) -> AccuracyRecord | None:
        """Return the accuracy of a network with a seed; None if it is unknown."""
        return self._known.get((arch.id, seed))

    def add(self, arch: Architecture, seed: int, accuracy: float, seconds: float) -> AccuracyRecord:
        """Write an accuracy to the file.

        Raises:
            StorageError: the disk refused; lines already there are kept.
        """
        evaluated = AccuracyRecord(arch.id, seed, self._conditions, accuracy, seconds)
        self._journal.append(evaluated)
        self._known[arch.id, seed] = evaluated
        return evaluated
