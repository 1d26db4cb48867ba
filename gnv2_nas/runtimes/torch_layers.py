"""Time of each layer in PyTorch, and sessions on CUDA and MPS, which are experimental."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch._C._autograd import DeviceType
from torch.overrides import TorchFunctionMode
from torch.profiler import ProfilerActivity, profile, record_function

from gnv2_nas.graph import Graph
from gnv2_nas.nn.interpreter import torch_threads
from gnv2_nas.runner.timing import timing_image
from gnv2_nas.runtimes.base import LAYOUT_CHANGES

_KINDS = {
    "adaptive_avg_pool2d": "global_pool",
    "avg_pool2d": "avg_pool",
    "max_pool2d": "max_pool",
    "sigmoid": "sigmoid",
    "hardsigmoid": "hard_sigmoid",
    "interpolate": "resize",
    "cat": "concat",
    "__getitem__": "slice",
    "add": "add",
    "mul": "mul",
}
"""Function that a module's own `forward` calls → op kind."""

Timed = Callable[[str, Callable[[], Any]], Any]
"""Receives an op name and a function; calls the function and returns its result."""


def cpu_layer_seconds(
    module: nn.Module, image: torch.Tensor, graph: Graph, threads: int, runs: int
) -> dict[str, float]:
    """Return op name → mean seconds of its functions; batch norm counts for its convolution.

    The time that Python spends between functions is added up under `LAYOUT_CHANGES`: the excess of
    unprofiled calls, which alternate with profiled ones, over the functions.
    """
    # With one thread, the calling thread does all work; its clock ignores other processes.
    clock = time.thread_time if threads == 1 else time.perf_counter
    total: defaultdict[str, float] = defaultdict(float)

    def timed(name: str, function: Callable[[], Any]) -> Any:
        started = clock()
        result = function()
        total[name] += clock() - started
        return result

    whole = 0.0
    with torch_threads(threads), torch.inference_mode():
        module(image)
        for _ in range(runs):
            started = clock()
            module(image)
            whole += clock() - started
            with intercept_functions(module, graph, timed):
                module(image)
    total[LAYOUT_CHANGES] = max(whole - sum(total.values()), 0.0)
    return {name: seconds / runs for name, seconds in total.items()}


@contextmanager
def intercept_functions(module: nn.Module, graph: Graph, timed: Timed) -> Iterator[None]:
    """Within the block, `timed` makes every call of `module` into torch."""
    names = _Names(graph)
    paths: list[str] = []
    hooks = []
    for path, part in module.named_modules():
        hooks += [
            part.register_forward_pre_hook(lambda *_, path=path: paths.append(path)),
            part.register_forward_hook(lambda *_: paths.pop() and None),
        ]
    try:
        with _Interceptor(names, paths, timed):
            yield
    finally:
        for hook in hooks:
            hook.remove()


class _Names:
    """Finds the op of a call."""

    def __init__(self, graph: Graph) -> None:
        self._by_path = {op.name: op.name for op in graph.ops}
        self._by_path |= {op.weight: op.name for op in graph.ops if op.weight}
        self._by_path |= {norm: op.name for op in graph.ops for norm in op.norms}
        self._by_kind: dict[tuple[str, str], str] = {
            (op.name.rpartition(".")[0], op.kind): op.name for op in graph.ops
        }

    def find(self, path: str, function: str) -> str | None:
        """Return the op of a function that the module at `path` calls; None if there is none."""
        if path in self._by_path:
            return self._by_path[path]
        kind = _KINDS.get(function, "")
        parent = path.rpartition(".")[0]
        return self._by_kind.get((path, kind)) or self._by_kind.get((parent, kind))


class _Interceptor(TorchFunctionMode):
    def __init__(self, names: _Names, paths: list[str], timed: Timed) -> None:
        super().__init__()
        self._names, self._paths, self._timed = names, paths, timed

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        name = self._names.find(self._paths[-1], func.__name__) if self._paths else None
        if name is None:
            # Flattening, dropout and reading a shape take no time.
            return func(*args, **(kwargs or {}))
        return self._timed(name, lambda: func(*args, **(kwargs or {})))


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
        self._given = image
        self._replay, self._logits = _capture(module, image)
        self.run()

    def set_image(self, image: NDArray[np.float32]) -> None:
        self.image[...] = image
        self._given.copy_(torch.from_numpy(self.image))  # the captured graph reads it there

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

    def set_image(self, image: NDArray[np.float32]) -> None:
        self.image[...] = image
        self._input.copy_(torch.from_numpy(self.image))

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
