"""Time, multiply-adds and share of every layer, from the runtime's own profiler."""

from __future__ import annotations

import msgspec

from gnv2_nas.arch import Architecture
from gnv2_nas.cores import pinned
from gnv2_nas.devices.device import Device
from gnv2_nas.errors import InputError
from gnv2_nas.graph import Graph, lower, op_macs
from gnv2_nas.graph.op import OP_TRAITS
from gnv2_nas.runner.lock import DeviceLock, Waiting, ignore_waiting

RUNS = 20


class LayerTime(msgspec.Struct, frozen=True):
    """One operator, including the activation function that is fused into it."""

    name: str
    kind: str
    shape: tuple[int, ...]
    """Output shape: channels, height, width; empty for what the runtime inserts."""
    ms: float
    macs: int
    share: float
    """Share of the time of all layers."""


def profile_layers(
    arch: Architecture, device: Device, runs: int = RUNS, waiting: Waiting = ignore_waiting
) -> list[LayerTime]:
    """Time every operator of `arch`, in execution order, then what the runtime inserts.

    Raises:
        InputError: the device is another machine.
        MeasurementError: the runtime cannot time single layers.
    """
    if device.host.is_remote:
        raise InputError(
            f"single layers are timed on this machine only, and device {device.name!r} is another"
        )
    files = device.runtime.write(arch)
    with DeviceLock.exclusive(waiting), pinned(device.profile.cores):
        seconds = device.runtime.layer_seconds(files, device.profile.threads, runs)
    graph = lower(arch)
    owners = _owners(graph)
    times = dict.fromkeys((op.name for op in graph.ops), 0.0)
    added: dict[str, float] = {}
    for name, value in seconds.items():
        if name in owners:
            times[owners[name]] += value
        else:
            added[name] = added.get(name, 0.0) + value
    total = sum(seconds.values())
    layers = [
        LayerTime(
            op.name, op.kind, op.shape, times[op.name] * 1e3, op_macs(op), times[op.name] / total
        )
        for op in graph.ops
        if owners[op.name] == op.name and op.kind != "input"
    ]
    extra = [
        LayerTime(name, "runtime", (), value * 1e3, 0, value / total)
        for name, value in added.items()
    ]
    return layers + extra


def _owners(graph: Graph) -> dict[str, str]:
    """Map each op to the op that it is reported under; an activation belongs to its convolution."""
    owners: dict[str, str] = {}
    for op in graph.ops:
        fused = OP_TRAITS[op.kind].activation and graph.ops[op.inputs[0]].kind == "conv"
        owners[op.name] = graph.ops[op.inputs[0]].name if fused else op.name
    return owners
