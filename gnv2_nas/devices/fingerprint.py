"""The machine and software that a latency was measured on."""

from __future__ import annotations

import msgspec

from gnv2_nas.runner.machine import describe_machine


class Fingerprint(msgspec.Struct, frozen=True):
    """The machine and software that a latency was measured on."""

    cpu: str
    cores: int
    memory_gib: float
    system: str
    python: str
    runtime: str
    """Runtime and version, for instance "onnxruntime 1.23.0"."""
    governor: str = "unknown"
    load: float = 0.0
    """One-minute load average when the measurement began."""
    huge_pages: bool = False
    """Whether weights were in pages of 2 MiB, see `huge_pages`."""
    vectors: str = ""
    """Widest vector instructions of the processor, such as "avx512f" or "asimd"; "" in older
    records and where the system does not tell."""

    def identity(self, threads: int) -> tuple[str, int, str, bool]:
        """Return what a latency depends on; cores beyond the threads make no difference."""
        return self.cpu, min(self.cores, threads), self.runtime, self.huge_pages


def fingerprint(runtime: str) -> Fingerprint:
    """Return the fingerprint of this machine.

    Args:
        runtime: name and version of the runtime.
    """
    return Fingerprint(runtime=runtime, **describe_machine())
