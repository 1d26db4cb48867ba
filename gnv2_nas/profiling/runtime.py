"""What a runtime is to the protocol, and the table of runtimes.

A runtime turns an architecture into the file it loads (`write`), and that file into something
that runs (`load`). It measures nothing itself.
"""

from __future__ import annotations

from typing import Protocol

from gnv2_nas.arch import Architecture
from gnv2_nas.errors import UnknownNameError


class Session(Protocol):
    """A loaded network with its input in place."""

    def run(self) -> object:
        """One inference, batch 1, finished on return."""
        ...


class Runtime(Protocol):
    """One inference engine on the local machine."""

    name: str

    def version(self) -> str:
        """Name and version for the fingerprint."""
        ...

    def write(self, arch: Architecture) -> bytes:
        """The file this runtime loads, with weights made for timing."""
        ...

    def load(self, artefact: bytes, threads: int) -> Session:
        """A session on an input of deterministic noise.

        Raises:
            MeasurementError: the runtime refused the file.
        """
        ...

    def layer_seconds(self, artefact: bytes, threads: int, runs: int) -> dict[str, float]:
        """Operator name → mean seconds a call, by the runtime's own profiler.

        What the runtime adds, such as layout changes, is summed under "(layout)".
        """
        ...


def get_runtime(name: str) -> Runtime:
    """The runtime of that name.

    Raises:
        UnknownNameError: no such runtime.
    """
    if name != "onnxruntime":
        raise UnknownNameError("runtime", name, ["onnxruntime"])
    from gnv2_nas.profiling.onnx_runtime import OnnxRuntime

    return OnnxRuntime()
