"""The state of an unfinished training: what it takes to go on with identical results."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import torch

from gnv2_nas.errors import CheckpointError
from gnv2_nas.files.writing import write_atomically
from gnv2_nas.training.recipe import Recipe


def make_fingerprint(recipe: Recipe, data_hash: str, seed: int) -> dict[str, str]:
    """What decides a training besides that which is trained: name → value."""
    values = {name: str(value) for name, value in msgspec.structs.asdict(recipe).items()}
    return values | {"data": data_hash, "seed": str(seed)}


class StateFile:
    """State dicts in a file that also says which training they belong to.

    Args:
        fingerprint: what two runs must share for one to go on with the other's state; name →
            value, to say what differs.
    """

    def __init__(self, path: Path, fingerprint: Mapping[str, str]) -> None:
        self.path = path
        self._fingerprint = dict(fingerprint)

    def write(self, state: Mapping[str, Any]) -> None:
        """Replace what is stored.

        Raises:
            StorageError: the disk refused; the older state stays as it was.
        """
        buffer = io.BytesIO()
        torch.save({"fingerprint": self._fingerprint, "state": dict(state)}, buffer)
        write_atomically(self.path, buffer.getvalue())

    def read(self) -> dict[str, Any] | None:
        """What is stored, on the CPU; None when there is no file.

        Raises:
            CheckpointError: the file is damaged, or belongs to another training.
        """
        if not self.path.exists():
            return None
        try:
            content = torch.load(io.BytesIO(self.path.read_bytes()), "cpu", weights_only=True)
            stored, state = content["fingerprint"], content["state"]
            differing = self._differing(stored)
        except Exception as error:
            # Whatever a reader makes of a damaged file, the answer is one line.
            reason = str(error).partition("\n")[0]
            raise CheckpointError(
                f"{str(self.path)!r} cannot be read ({reason}); delete it to begin again"
            ) from None
        if differing:
            raise CheckpointError(
                f"{str(self.path)!r} is the state of another training: {differing}; "
                "ask for the same, delete the file to begin again, or choose another output"
            )
        return dict(state)

    def remove(self) -> None:
        """The training is finished."""
        self.path.unlink(missing_ok=True)

    def _differing(self, stored: Mapping[str, str]) -> str:
        names = sorted(stored.keys() | self._fingerprint.keys())
        return ", ".join(
            f"{name} was {stored.get(name, 'not set')} and is "
            f"{self._fingerprint.get(name, 'not set')}"
            for name in names
            if stored.get(name) != self._fingerprint.get(name)
        )
