"""Times of layers in torch: each call into torch is attributed to an operator of the graph."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from gnv2_nas.graph import Graph
from gnv2_nas.nn.threads import torch_threads
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
        self._by_path |= {op.norm: op.name for op in graph.ops if op.norm}
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
