"""State of an unfinished training: all that is needed to resume it with identical results."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import torch

from gnv2_nas.errors import CheckpointError, first_line
from gnv2_nas.files.writing import write_atomically
from gnv2_nas.training.recipe import Recipe


def make_fingerprint(recipe: Recipe, data_hash: str, seed: int) -> dict[str, str]:
    """Name → value of everything that decides a training, except what is trained."""
    values = {name: str(value) for name, value in msgspec.structs.asdict(recipe).items()}
    return values | {"data": data_hash, "seed": str(seed)}


class StateFile:
    """State dicts in a file that also identifies their training.

    Args:
        fingerprint: name → value of everything that two runs must share for one to resume the
            other.
    """

    def __init__(self, path: Path, fingerprint: Mapping[str, str]) -> None:
        self.path = path
        self._fingerprint = dict(fingerprint)

    def write(self, state: Mapping[str, Any]) -> None:
        """Replace the stored state.

        Raises:
            StorageError: the disk refused; the older state is kept.
        """
        buffer = io.BytesIO()
        torch.save({"fingerprint": self._fingerprint, "state": dict(state)}, buffer)
        write_atomically(self.path, buffer.getvalue())

    def read(self) -> dict[str, Any] | None:
        """Return the stored state, on the CPU; None when there is no file.

        Raises:
            CheckpointError: the file is damaged, or belongs to another training.
        """
        if not self.path.exists():
            return None
        try:
            content = torch.load(io.BytesIO(self.path.read_bytes()), "cpu", weights_only=True)
            stored, state = content["fingerprint"], content["state"]
            differing = self._describe_differences(stored)
        except Exception as error:
            # The reader raises errors of many types for a damaged file.
            reason = first_line(error)
            raise CheckpointError(
                f"{str(self.path)!r} cannot be read ({reason}); delete it to start again"
            ) from None
        if differing:
            raise CheckpointError(
                f"{str(self.path)!r} is the state of another training: {differing}; "
                "use the same settings, delete the file to start again, or choose another output"
            )
        return dict(state)

    def remove(self) -> None:
        """Delete the file."""
        self.path.unlink(missing_ok=True)

    def _describe_differences(self, stored: Mapping[str, str]) -> str:
        names = sorted(stored.keys() | self._fingerprint.keys())
        return ", ".join(
            f"{name} was {stored.get(name, 'not set')} and is "
            f"{self._fingerprint.get(name, 'not set')}"
            for name in names
            if stored.get(name) != self._fingerprint.get(name)
        )
