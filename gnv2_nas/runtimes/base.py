"""What a runtime is to the protocol, and the table of runtimes.

A runtime turns an architecture into the files it loads (`write`), and those into something
that runs (`load`). It measures nothing itself. The table says what each can do without importing
any of them.
"""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias

import msgspec

from gnv2_nas.arch import Architecture
from gnv2_nas.errors import InputError, UnknownNameError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

RuntimeName = Literal[
    "executorch", "litert", "ncnn", "onnxruntime", "openvino",
    "torch", "torch-channels-last", "torch-compile",
]  # fmt: skip
Precision = Literal["fp32", "fp16", "bf16", "int8"]
Processor = Literal["cpu", "cuda", "mps"]

CalibrationImages: TypeAlias = "str | NDArray[Any]"

RuntimeFiles = Mapping[str, bytes]
"""The files a runtime loads: suffix → content, for instance {".param": …, ".bin": …}."""


class Session(Protocol):
    """A loaded network with its input in place."""

    @property
    def image(self) -> NDArray[np.float32]:
        """What it runs on: `timing_image`, (1, 3, resolution, resolution)."""
        ...

    def run(self) -> object:
        """One inference, finished on return."""
        ...

    def logits(self) -> NDArray[np.float32]:
        """(1, num_classes) of one inference, float32 whatever the precision."""
        ...


Timer = Callable[[Callable[[], object]], tuple[float, float]]
"""Times one inference: seconds of wall time, and seconds of the busy clock (see `Runtime`)."""


def thread_timer(run: Callable[[], object]) -> tuple[float, float]:
    """Wall time, and the CPU time of the thread that called: it does the work itself."""
    wall, cpu = time.perf_counter(), time.thread_time()
    run()
    cpu = time.thread_time() - cpu
    return time.perf_counter() - wall, cpu


def process_timer(run: Callable[[], object]) -> tuple[float, float]:
    """Wall time, and the CPU time of the process: the runtime works on a thread of its own."""
    wall, cpu = time.perf_counter(), time.process_time()
    run()
    cpu = time.process_time() - cpu
    return time.perf_counter() - wall, cpu


def wall_timer(run: Callable[[], object]) -> tuple[float, float]:
    """Wall time twice: no other clock sees the accelerator work."""
    started = time.perf_counter()
    run()
    wall = time.perf_counter() - started
    return wall, wall


class Runtime(Protocol):
    """One inference engine on the local machine, at one precision, on one processor."""

    name: RuntimeName
    precision: Precision
    processor: Processor
    timer: Timer
    """How one of its inferences is timed. The second figure is the busy clock: CPU time of
    whatever thread works, or on an accelerator the device's own time."""

    def version(self) -> str:
        """Name and version for the fingerprint."""
        ...

    def write(self, arch: Architecture, model: Any = None) -> RuntimeFiles:
        """The files this runtime loads, with the weights of `model` (a torch module of `arch`),
        or those of `timing_model(arch)`.

        Raises:
            CheckpointError: the module's weights are not those of `arch`.
            MeasurementError: this runtime cannot run `arch`.
        """
        ...

    def load(self, files: RuntimeFiles, threads: int) -> Session:
        """A session on `timing_image`.

        Raises:
            MeasurementError: the runtime refused the file.
        """
        ...

    def layer_seconds(self, files: RuntimeFiles, threads: int, runs: int) -> dict[str, float]:
        """Operator name → mean seconds a call; together they are the time of a call.

        What the runtime adds, such as layout changes, is summed under `LAYOUT_CHANGES`. A fused
        operator stands under the name of one of its parts.

        Raises:
            MeasurementError: the runtime cannot tell.
        """
        ...


LAYOUT_CHANGES = "(layout)"


class RuntimeInfo(msgspec.Struct, frozen=True):
    """Where a runtime's class is and what it can do."""

    import_path: str
    """Module under `gnv2_nas.runtimes` and class in it."""
    needs: tuple[str, ...]
    """Modules that must be installed."""
    extra: str
    """The extra of this package that installs them; "" when it always does."""
    precisions: dict[Processor, tuple[Precision, ...]]
    options: dict[str, Any] = {}
    """Keyword arguments for the class, where several runtimes share one."""
    quick: bool = True
    """Whether a file is ready to run within a second; if not, the panel is the reference alone."""

    def missing(self) -> str:
        """A module it needs that is not installed; "" when all are."""
        return next((package for package in self.needs if find_spec(package) is None), "")

    def installation(self) -> str:
        """The command that installs what it needs."""
        return f"pip install 'gnv2-nas[{self.extra}]'" if self.extra else "pip install gnv2-nas"


_TORCH_PRECISIONS: dict[Processor, tuple[Precision, ...]] = {
    "cpu": ("fp32", "bf16"), "cuda": ("fp32", "fp16", "bf16"), "mps": ("fp32", "fp16")
}  # fmt: skip

RUNTIMES: dict[RuntimeName, RuntimeInfo] = {
    "executorch": RuntimeInfo(
        "executorch_runtime:ExecuTorch", ("executorch",), "executorch", {"cpu": ("fp32",)}
    ),
    "litert": RuntimeInfo(
        "litert_runtime:LiteRt", ("ai_edge_litert", "tflite"), "litert", {"cpu": ("fp32", "fp16")}
    ),
    "ncnn": RuntimeInfo("ncnn_runtime:Ncnn", ("ncnn",), "ncnn", {"cpu": ("fp32", "fp16", "bf16")}),
    "onnxruntime": RuntimeInfo(
        "onnx_runtime:OnnxRuntime", ("onnxruntime",), "",
        {"cpu": ("fp32", "int8"), "cuda": ("fp32", "fp16")},
    ),
    "openvino": RuntimeInfo(
        "openvino_runtime:OpenVino", ("openvino",), "openvino",
        {"cpu": ("fp32", "bf16", "fp16", "int8")},
    ),
    "torch": RuntimeInfo("torch_runtime:Torch", ("torch",), "", _TORCH_PRECISIONS),
    "torch-channels-last": RuntimeInfo(
        "torch_runtime:Torch", ("torch",), "", _TORCH_PRECISIONS,
        {"name": "torch-channels-last", "channels_last": True},
    ),
    "torch-compile": RuntimeInfo(
        "torch_runtime:Torch", ("torch",), "", _TORCH_PRECISIONS,
        {"name": "torch-compile", "compiled": True}, quick=False,
    ),
}  # fmt: skip


def get_runtime(
    name: str,
    precision: Precision = "fp32",
    processor: Processor = "cpu",
    calibration_images: CalibrationImages = "",
) -> Runtime:
    """The runtime of that name.

    Args:
        name: a key of `RUNTIMES`.
        precision: of weights and feature maps.
        processor: where it runs.
        calibration_images: for int8, images to take the ranges from or the path of an .npy file
            of them, see `quantization.read_images`; random ones when it is "".

    Raises:
        UnknownNameError: no such runtime.
        InputError: it does not run at that precision or on that processor, or its extra is not
            installed.
    """
    given = not isinstance(calibration_images, str) or bool(calibration_images)
    info = check_runtime(name, precision, processor, calibrated=given)
    module, class_name = info.import_path.split(":")
    runtime_class = getattr(importlib.import_module(f"gnv2_nas.runtimes.{module}"), class_name)
    options = dict(info.options)
    if given:
        options["calibration_images"] = calibration_images
    runtime: Runtime = runtime_class(precision=precision, processor=processor, **options)
    return runtime


def check_runtime(
    name: str,
    precision: Precision = "fp32",
    processor: Processor = "cpu",
    *,
    calibrated: bool = False,
) -> RuntimeInfo:
    """Return the table entry of a runtime that can run here; imports no runtime.

    Args:
        name: a key of `RUNTIMES`.
        precision: of weights and feature maps.
        processor: where it runs.
        calibrated: whether calibration images are given.

    Raises:
        UnknownNameError, InputError: see `get_runtime`.
    """
    if name not in RUNTIMES:
        raise UnknownNameError("runtime", name, RUNTIMES)
    info = RUNTIMES[name]
    if processor not in info.precisions:
        raise InputError(
            f"runtime {name!r} runs on {', '.join(info.precisions)} here, not on {processor!r}"
        )
    if precision not in info.precisions[processor]:
        raise InputError(
            f"runtime {name!r} runs at {', '.join(info.precisions[processor])} on {processor}, "
            f"not at {precision!r}"
        )
    if calibrated and precision != "int8":
        raise InputError(f"calibration images are for precision 'int8', not for {precision!r}")
    if missing := info.missing():
        raise InputError(
            f"runtime {name!r} needs the package {missing!r}, which is not installed: "
            f"{info.installation()}"
        )
    return info
