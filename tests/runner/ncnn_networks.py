"""The networks on which the runners with ncnn are tested, in Python and natively."""

from __future__ import annotations

from gnv2_nas.arch import Architecture, preset
from gnv2_nas.devices.host import Bench
from gnv2_nas.devices.remote_host import RemoteHost
from gnv2_nas.runtimes.base import get_runtime
from tests.measurement.networks import tiny_ghost
from tests.runtimes.runtime_contract import random_networks

SIZES = [tiny_ghost(32), tiny_ghost(96), tiny_ghost(288)]
"""Each takes about ten times as long as the one before."""
NETWORKS = {
    "ghostnet-1.0": preset("ghostnet-1.0"),
    "ghostnetv2-1.0": preset("ghostnetv2-1.0"),
    **{f"random {number}": arch for number, arch in enumerate(random_networks(3))},
}
ROUNDING = 1e-5
"""Allowed difference at fp32, relative to the largest logit: 7e-7 was seen, and 3e-3 at fp16."""


def open_bench(device: RemoteHost, *networks: Architecture) -> Bench:
    return device.open_bench([get_runtime("ncnn").write(arch) for arch in networks])
