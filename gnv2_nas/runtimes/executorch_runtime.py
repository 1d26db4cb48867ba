"""ExecuTorch with XNNPACK on the CPU.

Times of layers come from ExecuTorch's event tracer (ETDump, schema `etdump_schema_flatcc.fbs`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from gnv2_nas.arch import Architecture
from gnv2_nas.errors import MeasurementError
from gnv2_nas.formats.executorch.writer import (
    FORM,
    build_delegate,
    pte_bytes,
    read_program_architecture,
)
from gnv2_nas.formats.executorch.xnnpack_graph import Node
from gnv2_nas.formats.flatbuffers import FlatReader, root_table
from gnv2_nas.graph.lower import lower
from gnv2_nas.graph.weights import TimingWeights
from gnv2_nas.runner.timing import RuntimeFiles
from gnv2_nas.runtimes.base import LAYOUT_CHANGES, BaseRuntime, RuntimeName

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


class ExecuTorch(BaseRuntime):
    """ExecuTorch at float32."""

    name: RuntimeName = "executorch"
    label = "executorch"
    built_in_form = FORM

    def write(self, arch: Architecture, model: Any = None) -> RuntimeFiles:
        return {".pte": pte_bytes(arch, model, form=self.form)}

    def layer_seconds(self, files: RuntimeFiles, threads: int, runs: int) -> dict[str, float]:
        from gnv2_nas.runner.executorch_session import ExecuTorchSession

        session = ExecuTorchSession(files, threads, trace=True)
        for _ in range(_WARM_UP + runs):
            session.run()
        arch = read_program_architecture(files[".pte"])
        nodes = build_delegate(lower(arch), TimingWeights(), self.form).nodes
        total: defaultdict[str, float] = defaultdict(float)
        for events in delegate_events(session.trace())[_WARM_UP:]:
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
