"""ExecuTorch with XNNPACK on the CPU.

Times of layers come from ExecuTorch's event tracer (ETDump, schema `etdump_schema_flatcc.fbs`).
"""

from __future__ import annotations

import contextlib
import io
import tempfile
import weakref
from collections import defaultdict
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray

from gnv2_nas.formats.flatbuffers import FlatReader, root_table

# isort: split
# `executorch.runtime` loads the same bindings, after 8 s of importing the whole compiler. They need
# torch's libraries, so they are imported after torch.
import executorch.extension.pybindings._C as bindings  # noqa: N811

from gnv2_nas.arch import Architecture
from gnv2_nas.errors import MeasurementError
from gnv2_nas.formats.executorch.writer import build_delegate, pte_bytes, read_program_architecture
from gnv2_nas.formats.executorch.xnnpack_graph import Node
from gnv2_nas.runtimes.base import (
    LAYOUT_CHANGES,
    BaseRuntime,
    RuntimeFiles,
    RuntimeName,
    refuse_file,
)
from gnv2_nas.runtimes.parity import timing_image

Event = tuple[str, float]
"""Name of an operation of the delegate, and its seconds."""

_SIZE_PREFIX = 4
_RUN_DATA, _RUN_EVENTS, _PROFILE_EVENT = 1, 3, 0
_DELEGATE_NAME, _START, _END = 4, 6, 7
_RUN_NAME, _RUN = 0, "Execute"


def delegate_events(content: bytes) -> list[list[Event]]:
    """Return the delegate's events of every run, in order."""
    runs = root_table(content, _SIZE_PREFIX).tables(_RUN_DATA)
    return [
        [event for entry in run.tables(_RUN_EVENTS) for event in _delegate_event(entry)]
        for run in runs
        if run.string(_RUN_NAME) == _RUN
    ]


def _delegate_event(entry: FlatReader) -> list[Event]:
    profile = entry.table(_PROFILE_EVENT)
    if profile is None or not profile.string(_DELEGATE_NAME):
        return []
    nanoseconds = profile.integer(_END, 64) - profile.integer(_START, 64)
    return [(profile.string(_DELEGATE_NAME), nanoseconds * 1e-9)]


_METHOD = "forward"
_WARM_UP = 2
# XNNPACK's names of operators, where they differ from the kind of the node.
_EVENTS = {
    "conv": ("Convolution", "Fully Connected"),
    "depthwise_conv": ("Convolution",),
    "fully_connected": ("Fully Connected",),
    "avg_pool": ("Average Pooling",),
    "max_pool": ("Max Pooling",),
    "global_avg_pool": ("Mean",),
    "reshape": ("Static Reshape",),
    "hard_swish": ("HardSwish",),
    "resize_bilinear": ("Resize Bilinear",),
    **{f"concatenate{count}": ("Copy",) for count in range(2, 6)},
}


class ExecuTorchSession:
    """A loaded program with its input in place."""

    _alive: ClassVar[weakref.WeakSet[ExecuTorchSession]] = weakref.WeakSet()

    def __init__(self, files: RuntimeFiles, threads: int, *, trace: bool = False) -> None:
        self._set_threads(threads)
        self._content = files[".pte"]  # the program reads it in place
        try:
            with _quiet():
                self._program = bindings._load_program_from_buffer(
                    self._content,
                    enable_etdump=trace,
                    program_verification=bindings.Verification.InternalConsistency,
                )
                self._method = self._program.load_method(_METHOD)
        except Exception as error:
            raise refuse_file("ExecuTorch", error) from None
        sizes = self._method.method_meta().input_tensor_meta(0).sizes()
        self.image = timing_image(sizes[-1])
        self._method.set_inputs([torch.from_numpy(self.image)])
        self._alive.add(self)

    def run(self) -> Any:
        """Run one inference; with one thread, in the calling thread."""
        return self._method.execute()

    def logits(self) -> NDArray[np.float32]:
        self.run()
        (logits,) = self._method.get_outputs()
        found: NDArray[np.float32] = logits.numpy()
        return found

    def events(self) -> list[list[Event]]:
        """Return the events of every run so far; requires `trace`."""
        with tempfile.TemporaryDirectory() as folder:
            dump, data = Path(folder) / "events", Path(folder) / "tensors"
            self._program.write_etdump_result_to_file(str(dump), str(data))
            return delegate_events(dump.read_bytes())

    @classmethod
    def _set_threads(cls, threads: int) -> None:
        """Set the size of the thread pool. All programs of the process keep pointers into it."""
        with _quiet():
            now = bindings._threadpool_get_thread_count()
            if now == threads:
                return
            if cls._alive:
                raise MeasurementError(
                    f"ExecuTorch has one number of threads for the whole process: {now} while "
                    f"a session is loaded, so another cannot have {threads}"
                )
            bindings._unsafe_reset_threadpool(threads)


class ExecuTorch(BaseRuntime):
    """ExecuTorch at float32."""

    name: RuntimeName = "executorch"
    label = "executorch"
    release = version("executorch")

    def write(self, arch: Architecture, model: Any = None) -> RuntimeFiles:
        return {".pte": pte_bytes(arch, model)}

    def load(self, files: RuntimeFiles, threads: int) -> ExecuTorchSession:
        return ExecuTorchSession(files, threads)

    def layer_seconds(self, files: RuntimeFiles, threads: int, runs: int) -> dict[str, float]:
        session = ExecuTorchSession(files, threads, trace=True)
        for _ in range(_WARM_UP + runs):
            session.run()
        nodes = build_delegate(read_program_architecture(files[".pte"])).nodes
        total: defaultdict[str, float] = defaultdict(float)
        for events in session.events()[_WARM_UP:]:
            for owner, seconds in attribute_events(events, nodes):
                total[owner] += seconds / runs
        return dict(total)


def attribute_events(events: list[Event], nodes: list[Node]) -> Iterator[tuple[str, float]]:
    """Yield the op name and the seconds of each event.

    XNNPACK runs the nodes in the order of the file; some nodes are fused into others.

    Raises:
        MeasurementError: an event belongs to no node.
    """
    left = iter(nodes)
    for name, seconds in events:
        node = next((node for node in left if _matches(name, node)), None)
        if node is None:
            raise MeasurementError(
                f"ExecuTorch cannot time single layers of this network: it ran {name!r}, which "
                f"corresponds to no operator of the file"
            )
        yield node.owner or LAYOUT_CHANGES, seconds


def _matches(event: str, node: Node) -> bool:
    return event.startswith(_EVENTS.get(node.kind, (node.kind.capitalize(),)))


def _quiet() -> contextlib.redirect_stderr[io.StringIO]:
    """Suppress what ExecuTorch logs about its thread pool and about a refused file."""
    return contextlib.redirect_stderr(io.StringIO())
