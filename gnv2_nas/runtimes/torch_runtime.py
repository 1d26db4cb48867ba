"""PyTorch: the module itself, eager, with channels last, or compiled."""

from __future__ import annotations

import os
import shutil
import warnings
from collections.abc import Callable
from types import FunctionType
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from gnv2_nas.arch import Architecture
from gnv2_nas.errors import CheckpointError, InputError, MeasurementError, first_line
from gnv2_nas.graph import lower
from gnv2_nas.graph.weights import weights_for
from gnv2_nas.nn import (
    Network,
    build_model,
    load_weights,
    network_bytes,
    network_from_bytes,
    timing_model,
)
from gnv2_nas.nn.interpreter import torch_threads
from gnv2_nas.runner.timing import RuntimeFiles, Session, timing_image
from gnv2_nas.runtimes.base import (
    BaseRuntime,
    Precision,
    Processor,
    RuntimeName,
)
from gnv2_nas.runtimes.torch_layers import (
    CudaTimer,
    TorchCudaSession,
    TorchMpsSession,
    cpu_layer_seconds,
    cuda_layer_seconds,
)


def compiled_call(module: nn.Module) -> Callable[[Tensor], Tensor]:
    """Return `module`, compiled as one graph at its first call.

    torch caches eight compiled versions of each code object; beyond that, it silently runs the code
    uncompiled. All networks share the code of `Network.forward`, so each gets an outer function
    with a code object of its own.
    """

    def call(image: Tensor) -> Tensor:
        out: Tensor = module(image)
        return out

    own = FunctionType(
        call.__code__.replace(co_name=f"network_{id(module)}"),
        call.__globals__,
        closure=call.__closure__,
    )
    compiled: Callable[[Tensor], Tensor] = torch.compile(own, fullgraph=True, dynamic=False)
    return compiled


SUFFIX = ".safetensors"
_TYPES: dict[Precision, torch.dtype] = {
    "fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16
}  # fmt: skip


class TorchCpuSession:
    """A module on the processor with its input in place."""

    def __init__(self, module: Any, image: torch.Tensor, threads: int) -> None:
        self._module, self._given, self._threads = module, image, threads
        self.image: NDArray[np.float32] = timing_image(image.shape[-1])
        # Compilation happens at the first call.
        self.run()

    def set_image(self, image: NDArray[np.float32]) -> None:
        self.image[...] = image
        self._given.copy_(torch.from_numpy(self.image))

    def run(self) -> torch.Tensor:
        """Run one inference and return the logits."""
        with torch_threads(self._threads), torch.inference_mode():
            return cast(torch.Tensor, self._module(self._given))

    def logits(self) -> NDArray[np.float32]:
        return _array(self.run())


class Torch(BaseRuntime):
    """PyTorch: eager, with channels last, or compiled."""

    label = "torch"

    def __init__(
        self,
        precision: Precision = "fp32",
        processor: Processor = "cpu",
        *,
        name: RuntimeName = "torch",
        channels_last: bool = False,
        compiled: bool = False,
    ) -> None:
        """
        Args:
            precision: precision of weights and feature maps. Casts of the image and the logits are
                not timed.
            processor: processor that it runs on.
            name: name in the table of runtimes.
            channels_last: whether to use the channels-last memory format.
            compiled: whether to use `torch.compile`, which takes about a minute a network.

        Raises:
            InputError: the processor is not available.
        """
        _check_processor(processor)
        super().__init__(precision, processor)
        self.name = name
        self._channels_last, self._compiled = channels_last, compiled
        if processor == "cuda":
            self.timer = CudaTimer()

    def version(self) -> str:
        return f"{self.label} {torch.__version__}"

    def check_here(self) -> None:
        if self._compiled:
            _check_compiler(self.name)

    def write(self, arch: Architecture, model: Any = None) -> RuntimeFiles:
        """Write our checkpoint file: the network, and float32 weights at any precision."""
        return {SUFFIX: network_bytes(_network(arch, model))}

    def load(self, files: RuntimeFiles, threads: int) -> Session:
        module, image = self._loaded(files)
        try:
            with warnings.catch_warnings():
                # The compiler warns about its own internals.
                warnings.simplefilter("ignore")
                call = compiled_call(module) if self._compiled else module
                return self._session(call, image, threads)
        except Exception as error:
            raise MeasurementError(f"PyTorch cannot run the network: {first_line(error)}") from None

    def layer_seconds(self, files: RuntimeFiles, threads: int, runs: int) -> dict[str, float]:
        if self._compiled or self.processor == "mps":
            how = "torch.compile" if self._compiled else "MPS"
            raise MeasurementError(
                f"{how} cannot time single layers; profile with the runtime 'torch'"
            )
        module, image = self._loaded(files)
        graph = lower(module.architecture)
        if self.processor == "cuda":
            return cuda_layer_seconds(module, image, graph, runs)
        return cpu_layer_seconds(module, image, graph, threads, runs)

    def _session(self, call: Any, image: torch.Tensor, threads: int) -> Session:
        if isinstance(self.timer, CudaTimer):
            return TorchCudaSession(call, image, self.timer)
        if self.processor == "mps":
            return TorchMpsSession(call, image)
        return TorchCpuSession(call, image, threads)

    def _loaded(self, files: RuntimeFiles) -> tuple[Network, torch.Tensor]:
        """Return the module and its image on their processor, in their precision and format."""
        try:
            module = network_from_bytes(files[SUFFIX])
        except CheckpointError as error:
            raise MeasurementError(f"PyTorch refused the file: {error}") from None
        layout = torch.channels_last if self._channels_last else torch.contiguous_format
        image = torch.from_numpy(timing_image(module.architecture.resolution))
        placed = {"device": self.processor, "dtype": _TYPES[self.precision]}
        # The stubs have no overload with all three arguments.
        module = cast(Any, module).to(**placed, memory_format=layout)
        return module, cast(Any, image).to(**placed, memory_format=layout)


def _network(arch: Architecture, model: Any) -> Network:
    if model is None:
        return timing_model(arch)
    weights_for(arch, model)
    return load_weights(build_model(arch), model.state_dict())


def _array(logits: torch.Tensor) -> NDArray[np.float32]:
    array: NDArray[np.float32] = logits.float().cpu().numpy()
    return array


def _check_processor(processor: Processor) -> None:
    available = {
        "cpu": True,
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
    }
    if not available[processor]:
        seen = [name for name, there in available.items() if there]
        raise InputError(
            f"processor {processor!r} is not available: torch {torch.__version__} sees only "
            f"{', '.join(seen)} here"
        )


def _check_compiler(name: str) -> None:
    wanted = [os.environ.get("CXX") or "g++", "clang++"]
    if not any(shutil.which(compiler) for compiler in wanted):
        raise InputError(
            f"runtime {name!r} needs a C++ compiler, and neither {wanted[0]!r} nor {wanted[1]!r} "
            f"is on the PATH"
        )
