"""PyTorch on CUDA and on MPS: experimental, tested with stand-ins for the devices.

On CUDA, the kernels of an inference are captured into a CUDA graph and replayed. Launched one by
one from Python, small kernels would wait for the processor, and that wait would be timed.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch._C._autograd import DeviceType
from torch.profiler import ProfilerActivity, profile, record_function

from gnv2_nas.graph import Graph
from gnv2_nas.runtimes.parity import timing_image
from gnv2_nas.runtimes.torch_layers import intercept_functions

_WARM_UP_CALLS = 3
cuda: Any = torch.cuda
"""`torch.cuda` is only partly typed."""


class CudaTimer:
    """Times an inference on CUDA: wall time, and the device's own time between two events."""

    def __init__(self) -> None:
        self.started = cuda.Event(enable_timing=True)
        self.ended = cuda.Event(enable_timing=True)

    def __call__(self, run: Callable[[], object]) -> tuple[float, float]:
        """Time `run` of a `TorchCudaSession` that has this timer."""
        started = time.perf_counter()
        run()
        wall = time.perf_counter() - started
        return wall, self.started.elapsed_time(self.ended) * 1e-3


class TorchCudaSession:
    """A module on the GPU with its input in place."""

    def __init__(self, module: Any, image: torch.Tensor, timer: CudaTimer) -> None:
        self._timer = timer
        self.image: NDArray[np.float32] = timing_image(image.shape[-1])
        self._replay, self._logits = _capture(module, image)
        self.run()

    def run(self) -> None:
        """Run one inference."""
        self._timer.started.record()
        self._replay()
        self._timer.ended.record()
        self._timer.ended.synchronize()

    def logits(self) -> NDArray[np.float32]:
        self.run()
        array: NDArray[np.float32] = self._logits().float().cpu().numpy().copy()
        return array


def _capture(
    module: Any, image: torch.Tensor
) -> tuple[Callable[[], object], Callable[[], torch.Tensor]]:
    """Return a function that runs an inference, and one that returns the last logits.

    Kernels that cannot be captured are launched one by one.
    """
    answer: list[torch.Tensor] = []

    def call() -> None:
        with torch.inference_mode():
            answer[:] = [module(image)]

    side = cuda.Stream()
    side.wait_stream(cuda.current_stream())
    with cuda.stream(side):
        # Allocation, choice of kernels and compilation must happen before the capture.
        for _ in range(_WARM_UP_CALLS):
            call()
    cuda.current_stream().wait_stream(side)
    graph = cuda.CUDAGraph()
    try:
        with cuda.graph(graph):
            call()
    except RuntimeError:
        cuda.synchronize()
        return call, lambda: answer[0]
    return graph.replay, lambda: answer[0]


class TorchMpsSession:
    """A module on Apple's GPU with its input in place."""

    def __init__(self, module: Any, image: torch.Tensor) -> None:
        self._module, self._input = module, image
        self.image: NDArray[np.float32] = timing_image(image.shape[-1])
        self.run()

    def run(self) -> torch.Tensor:
        """Run one inference and return the logits, on the device."""
        with torch.inference_mode():
            logits = cast(torch.Tensor, self._module(self._input))
        torch.mps.synchronize()
        return logits

    def logits(self) -> NDArray[np.float32]:
        array: NDArray[np.float32] = self.run().float().cpu().numpy()
        return array


def cuda_layer_seconds(
    module: nn.Module, image: torch.Tensor, graph: Graph, runs: int
) -> dict[str, float]:
    """Return op name → mean seconds of its kernels on the device."""
    with torch.inference_mode():
        module(image)
        cuda.synchronize()
        with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as profiler:
            with intercept_functions(module, graph, record_range):
                for _ in range(runs):
                    module(image)
            cuda.synchronize()
    return sum_by_op(profiler, graph, lambda event: event.device_time_total, runs)


def record_range(name: str, function: Callable[[], Any]) -> Any:
    """Call `function` within a range of that name, and return its result."""
    with record_function(name):
        return function()


def sum_by_op(
    profiler: Any, graph: Graph, microseconds: Callable[[Any], float], runs: int
) -> dict[str, float]:
    """Return op name → mean seconds of the ranges that have its name."""
    names = {op.name for op in graph.ops}
    total: defaultdict[str, float] = defaultdict(float)
    for event in profiler.events():
        # The profiler lists each range twice: for the processor and for the device.
        if event.name in names and event.device_type == DeviceType.CPU:
            total[event.name] += microseconds(event)
    return {name: value * 1e-6 / runs for name, value in total.items()}
