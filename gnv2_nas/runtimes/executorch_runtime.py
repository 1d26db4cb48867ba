"""ExecuTorch with XNNPACK, on the CPU.

The time of each layer is read from ExecuTorch's event tracer (ETDump, schema
`etdump_schema_flatcc.fbs`).
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
# What `executorch.runtime` loads too, after 8 s of importing the whole compiler. It needs torch's
# libraries, so it comes after torch.
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
"""Name of what a delegate did, and how many seconds it took."""

_SIZE_PREFIX = 4
_RUN_DATA, _RUN_EVENTS, _PROFILE_EVENT = 1, 3, 0
_DELEGATE_NAME, _START, _END = 4, 6, 7
_RUN_NAME, _RUN = 0, "Execute"


def delegate_events(content: bytes) -> list[list[Event]]:
    """For every run what the delegate did, in order."""
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
# How XNNPACK calls what a node has become, where that is not the node's name.
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
    """A loaded program, its input set."""

    _alive: ClassVar[weakref.WeakSet[ExecuTorchSession]] = weakref.WeakSet()

    def __init__(self, files: RuntimeFiles, threads: int, *, trace: bool = False) -> None:
        self._set_threads(threads)
        self._content = files[".pte"]  # which the program reads where it stands
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
        """One inference, in the calling thread where there is one thread."""
        return self._method.execute()

    def logits(self) -> NDArray[np.float32]:
        self.run()
        (logits,) = self._method.get_outputs()
        found: NDArray[np.float32] = logits.numpy()
        return found

    def events(self) -> list[list[Event]]:
        """Of every run until now; needs `trace`."""
        with tempfile.TemporaryDirectory() as folder:
            dump, data = Path(folder) / "events", Path(folder) / "tensors"
            self._program.write_etdump_result_to_file(str(dump), str(data))
            return delegate_events(dump.read_bytes())

    @classmethod
    def _set_threads(cls, threads: int) -> None:
        """The process has one pool for all its programs, and they keep pointers into it."""
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
            for owner, seconds in _owned(events, nodes):
                total[owner] += seconds / runs
        return dict(total)


def _owned(events: list[Event], nodes: list[Node]) -> Iterator[tuple[str, float]]:
    """Op name and seconds of each event.

    XNNPACK runs the nodes in the order of the file, some of them as part of others.
    """
    left = iter(nodes)
    for name, seconds in events:
        node = next((node for node in left if _is(name, node)), None)
        if node is None:
            raise MeasurementError(
                f"ExecuTorch's wheel cannot time single layers of this network: it ran {name!r}, "
                f"which no operator of the file has become"
            )
        yield node.owner or LAYOUT_CHANGES, seconds


def _is(event: str, node: Node) -> bool:
    return event.startswith(_EVENTS.get(node.kind, (node.kind.capitalize(),)))


def _quiet() -> contextlib.redirect_stderr[io.StringIO]:
    """Without what ExecuTorch logs when it makes its pool of threads, and on a refused file."""
    return contextlib.redirect_stderr(io.StringIO())
