"""Trainings of a trust check, kept one by one: what was trained is not trained again."""

from __future__ import annotations

import hashlib
from pathlib import Path

import msgspec

from gnv2_nas.arch import Architecture
from gnv2_nas.errors import StorageError
from gnv2_nas.files import append_line
from gnv2_nas.quality.trust import trust_path


class Training(msgspec.Struct, frozen=True):
    """One network trained with one seed."""

    network: str
    """Its `Architecture.id`."""
    seed: int
    conditions: str
    """Hash of the images and of the recipe."""
    accuracy: float
    """On held-out images, per cent."""
    seconds: float


class TrustJournal:
    """The trainings of one space under the same conditions, in a file of one line each.

    Args:
        space: its name; the file is beside its trust panel.
        conditions: whatever decides the outcome of a training besides network and seed.
    """

    def __init__(self, space: str, *conditions: str) -> None:
        self.path = trust_path(space).with_suffix(".jsonl")
        self._conditions = hashlib.sha256(" ".join(conditions).encode()).hexdigest()[:12]
        self._known = {
            (each.network, each.seed): each
            for each in _read(self.path)
            if each.conditions == self._conditions
        }

    def find(self, arch: Architecture, seed: int) -> Training | None:
        """The training of a network with a seed, if it was finished before."""
        return self._known.get((arch.id, seed))

    def add(self, arch: Architecture, seed: int, accuracy: float, seconds: float) -> Training:
        """Keep a training, at once.

        Raises:
            StorageError: the disk refused; lines already there are kept.
        """
        training = Training(arch.id, seed, self._conditions, accuracy, seconds)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            append_line(self.path, msgspec.json.encode(training))
        except OSError as error:
            reason = error.strerror or error
            raise StorageError(f"cannot write {str(self.path)!r}: {reason}") from None
        self._known[arch.id, seed] = training
        return training


def _read(path: Path) -> list[Training]:
    """A line cut short by a crash is passed over."""
    if not path.exists():
        return []
    trainings = []
    for line in path.read_bytes().splitlines():
        try:
            trainings.append(msgspec.json.decode(line, type=Training))
        except msgspec.MsgspecError:
            continue
    return trainings
