"""Processor families, and those for which the built-in forms of files were measured."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from gnv2_nas.devices.fingerprint import Fingerprint
from gnv2_nas.runtimes.base import RUNTIMES, RuntimeName

MEASURED: Mapping[str, frozenset[RuntimeName]] = MappingProxyType(
    {
        # A Xeon server; ONNX Runtime also on Zen 5. See docs/runtimes.md.
        "x86_64 with avx512f": frozenset({"litert", "ncnn", "onnxruntime", "openvino"}),
    }
)
"""Family → runtimes whose built-in form was compared with others on it."""


def processor_family(machine: Fingerprint) -> str:
    """Return "x86_64 with avx512f": instruction set and widest vector instructions, on which the
    fastest form of a file depends."""
    architecture = machine.system.rpartition(" ")[2]
    return f"{architecture} with {machine.vectors or 'unknown vectors'}"


def needs_tuning(machine: Fingerprint, runtime: RuntimeName) -> bool:
    """Return whether nobody knows that the built-in form of files is the fastest on a device."""
    known = MEASURED.get(processor_family(machine), frozenset())
    return RUNTIMES[runtime].takes_form and runtime not in known
