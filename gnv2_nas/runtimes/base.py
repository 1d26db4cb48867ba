"""The protocol of a runtime, the base class of all runtimes, and their table.

A runtime converts an architecture into the files that it loads (`write`), and loads them into a
session that runs (`load`). It does not measure. The table describes runtimes without importing any.
"""

from __future__ import annotations

import copy
import importlib
from abc import abstractmethod
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Literal, Protocol, Self, TypeAlias

import msgspec

from gnv2_nas.arch import Architecture
from gnv2_nas.errors import InputError, UnknownNameError
from gnv2_nas.graph.passes.form import FileForm
from gnv2_nas.runner.sessions import ENGINES, engine_version, open_session
from gnv2_nas.runner.timing import RuntimeFiles, Session, Timer, timer_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

RuntimeName = Literal[
    "executorch", "litert", "ncnn", "onnxruntime", "openvino",
    "torch", "torch-channels-last", "torch-compile",
]  # fmt: skip
Precision = Literal["fp32", "fp16", "bf16", "int8"]
Processor = Literal["cpu", "cuda", "mps"]

CalibrationImages: TypeAlias = "str | NDArray[Any]"

LAYOUT_CHANGES = "(layout)"
"""Name under which `Runtime.layer_seconds` adds up what the runtime itself inserts."""


class Runtime(Protocol):
    """One inference engine on the local machine, at one precision, on one processor."""

    name: RuntimeName
    label: str
    """Name in messages and in `version`."""
    precision: Precision
    processor: Processor
    form: FileForm
    """Form of the files that `write` returns; see `with_form`."""
    built_in_form: FileForm
    """What the options mean that `form` leaves open; undecided too where the writer has a rule."""
    timer: Timer
    """Times one inference. The busy clock is the thread's CPU time, or an accelerator's own."""

    def version(self) -> str:
        """Return name and version, for the fingerprint."""
        ...

    def check_here(self) -> None:
        """Check that this machine can run the runtime as it was constructed.

        Raises:
            InputError: the processor or the precision is not available here.
        """
        ...

    def with_form(self, form: FileForm) -> Self:
        """Return the same runtime, which writes files of another form."""
        ...

    def write(self, arch: Architecture, model: Any = None) -> RuntimeFiles:
        """Write the files that this runtime loads.

        Args:
            arch: the network.
            model: a torch module of `arch` with the weights (default: `timing_model(arch)`).

        Raises:
            CheckpointError: the module's weights do not fit `arch`.
            MeasurementError: this runtime cannot run `arch`.
        """
        ...

    def load(self, files: RuntimeFiles, threads: int) -> Session:
        """Load files into a session on `timing_image`.

        Raises:
            MeasurementError: the runtime refused the files.
        """
        ...

    def layer_seconds(self, files: RuntimeFiles, threads: int, runs: int) -> dict[str, float]:
        """Return operator name → mean seconds a call; the sum is the time of a call.

        A fused operator has the name of one of its parts; see `LAYOUT_CHANGES` for the rest.

        Raises:
            MeasurementError: the runtime cannot time single layers.
        """
        ...


class BaseRuntime:
    """What all runtimes share; for the arguments see `get_runtime`."""

    name: RuntimeName
    label: str
    form = built_in_form = FileForm()
    timer: Timer

    def __init__(
        self,
        precision: Precision = "fp32",
        processor: Processor = "cpu",
        *,
        calibration_images: CalibrationImages = "",
    ) -> None:
        self.precision, self.processor = precision, processor
        self.timer = timer_of(processor)
        self.calibration_images = calibration_images

    def version(self) -> str:
        return f"{self.label} {engine_version(self.name)}"

    def check_here(self) -> None:
        pass

    def with_form(self, form: FileForm) -> Self:
        other = copy.copy(self)
        other.form = form
        return other

    @abstractmethod
    def write(self, arch: Architecture, model: Any = None) -> RuntimeFiles: ...

    def load(self, files: RuntimeFiles, threads: int) -> Session:
        return open_session(self.name, files, threads, self.precision, self.processor)

    @abstractmethod
    def layer_seconds(self, files: RuntimeFiles, threads: int, runs: int) -> dict[str, float]: ...


class RuntimeInfo(msgspec.Struct, frozen=True):
    """Where the class of a runtime is and what it can do."""

    import_path: str
    """Module under `gnv2_nas.runtimes`, a colon, and the class."""
    needs: tuple[str, ...]
    """Modules that must be installed."""
    writer_needs: tuple[str, ...]
    """Modules that must be installed to write its files, for a device that runs them elsewhere."""
    extra: str
    """The extra of this package that installs them; "" if they are always installed."""
    precisions: dict[Processor, tuple[Precision, ...]]
    experimental: tuple[Processor, ...] = ()
    """Processors that no test has run on: their logic is tested with stand-ins."""
    options: dict[str, Any] = {}
    """Keyword arguments of the class, if several runtimes share it."""
    takes_form: bool = True
    """Whether its files can have another `FileForm`."""
    quick: bool = True
    """Whether a file is loaded within a second; if not, the panel is the reference alone."""

    def missing(self, *, here: bool = True) -> str:
        """Return a required module that is not installed; "" if all are.

        Args:
            here: whether this machine runs the network; otherwise it writes the files only.
        """
        needs = self.needs if here else self.writer_needs
        return next((package for package in needs if find_spec(package) is None), "")

    def installation(self) -> str:
        """Return the command that installs the required modules."""
        return f"pip install 'gnv2-nas[{self.extra}]'" if self.extra else "pip install gnv2-nas"


_TORCH_PRECISIONS: dict[Processor, tuple[Precision, ...]] = {
    "cpu": ("fp32", "bf16"), "cuda": ("fp32", "fp16", "bf16"), "mps": ("fp32", "fp16")
}  # fmt: skip
_TORCH = RuntimeInfo(
    "torch_runtime:Torch", ("torch",), ("torch",), "", _TORCH_PRECISIONS, ("cuda", "mps"),
    takes_form=False,
)  # fmt: skip

RUNTIMES: dict[RuntimeName, RuntimeInfo] = {
    "executorch": RuntimeInfo(
        "executorch_runtime:ExecuTorch", ("executorch",), ("flatbuffers",), "executorch",
        {"cpu": ("fp32",)},
    ),
    "litert": RuntimeInfo(
        "litert_runtime:LiteRt", ("ai_edge_litert", "tflite"), ("tflite",), "litert",
        {"cpu": ("fp32", "fp16")},
    ),
    "ncnn": RuntimeInfo(
        "ncnn_runtime:Ncnn", ("ncnn",), (), "ncnn", {"cpu": ("fp32", "fp16", "bf16")}
    ),
    "onnxruntime": RuntimeInfo(
        "onnx_runtime:OnnxRuntime", ("onnxruntime",), (), "",
        {"cpu": ("fp32", "int8"), "cuda": ("fp32", "fp16")}, ("cuda",),
    ),
    "openvino": RuntimeInfo(
        "openvino_runtime:OpenVino", ("openvino",), ("openvino",), "openvino",
        {"cpu": ("fp32", "bf16", "fp16", "int8")},
    ),
    "torch": _TORCH,
    "torch-channels-last": msgspec.structs.replace(
        _TORCH, options={"name": "torch-channels-last", "channels_last": True}
    ),
    "torch-compile": msgspec.structs.replace(
        _TORCH, options={"name": "torch-compile", "compiled": True}, quick=False
    ),
}  # fmt: skip


def get_runtime(
    name: str,
    precision: Precision = "fp32",
    processor: Processor = "cpu",
    calibration_images: CalibrationImages = "",
    form: FileForm = FileForm(),  # noqa: B008  frozen
    *,
    here: bool = True,
) -> Runtime:
    """Return the runtime of that name.

    Args:
        name: a key of `RUNTIMES`.
        precision: precision of weights and feature maps.
        processor: processor that it runs on.
        calibration_images: for int8, the images that give the ranges of feature maps, or the path
            of an .npy file of them, see `quantization.read_images` (default: random images).
        form: of the files that it writes (default: the built-in one).
        here: whether this machine runs the networks; otherwise it only writes their files.

    Raises:
        UnknownNameError: there is no such runtime.
        InputError: it does not support the precision, the processor or the form, or is not
            installed.
    """
    given = not isinstance(calibration_images, str) or bool(calibration_images)
    info = check_runtime(name, precision, processor, calibrated=given, form=form, here=here)
    module, class_name = info.import_path.split(":")
    runtime_class = getattr(importlib.import_module(f"gnv2_nas.runtimes.{module}"), class_name)
    options = dict(info.options)
    if given:
        options["calibration_images"] = calibration_images
    runtime: Runtime = runtime_class(precision=precision, processor=processor, **options)
    if here:
        runtime.check_here()
    return runtime.with_form(form)


def check_runtime(
    name: str,
    precision: Precision = "fp32",
    processor: Processor = "cpu",
    *,
    calibrated: bool = False,
    form: FileForm = FileForm(),  # noqa: B008  frozen
    here: bool = True,
) -> RuntimeInfo:
    """Return the table entry of a runtime that can run; imports no runtime.

    Args:
        name: a key of `RUNTIMES`.
        precision: precision of weights and feature maps.
        processor: processor that it runs on.
        calibrated: whether calibration images are given.
        form: of the files that it is to write.
        here: see `get_runtime`.

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
    if form != FileForm() and not info.takes_form:
        raise InputError(f"files of runtime {name!r} have one form only; leave `form` out")
    if not here and name not in ENGINES:
        raise InputError(
            f"runtime {name!r} runs on this machine only; other devices run {', '.join(ENGINES)}"
        )
    if missing := info.missing(here=here):
        raise InputError(
            f"runtime {name!r} needs the package {missing!r}, which is not installed: "
            f"{info.installation()}"
        )
    return info
