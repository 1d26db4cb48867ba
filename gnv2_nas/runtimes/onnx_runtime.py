"""ONNX Runtime, on the processor and, experimentally, on CUDA."""

from __future__ import annotations

import json
import re
import statistics
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from gnv2_nas.arch import Architecture
from gnv2_nas.errors import InputError, MeasurementError
from gnv2_nas.formats.onnx.precision import GATE, convert_to_half
from gnv2_nas.formats.onnx.writer import onnx_bytes
from gnv2_nas.runtimes.base import (
    LAYOUT_CHANGES,
    BaseRuntime,
    CalibrationImages,
    Precision,
    Processor,
    RuntimeFiles,
    RuntimeName,
    refuse_file,
    wall_timer,
)
from gnv2_nas.runtimes.parity import timing_image
from gnv2_nas.runtimes.quantization import quantize, read_images

_ERRORS_AND_WORSE = 3
_WARM_UP = 2
"""Profiled runs that are discarded."""
_LAYOUT_OPS = ("reorder", "flatten", "reshape", "transpose", "quantizelinear", "dequantizelinear")
_ADDED_TO_NAMES = re.compile(rf"(_nchwc|_token_\d+|:\d+|{re.escape(GATE)})+$")
_PROVIDERS: dict[Processor, str] = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}


class OnnxSession:
    """A loaded model with its input in place."""

    def __init__(self, files: RuntimeFiles, options: ort.SessionOptions) -> None:
        self._session = _open(files, options, "cpu")
        (self._input,) = self._session.get_inputs()
        self.image = timing_image(self._input.shape[-1])
        self._feed = {self._input.name: self.image}
        self._outputs = [output.name for output in self._session.get_outputs()]

    def run(self) -> Any:
        """Run one inference and return the list of outputs."""
        return self._session.run(self._outputs, self._feed)

    def logits(self) -> NDArray[np.float32]:
        (logits,) = self.run()
        found: NDArray[np.float32] = logits
        return found

    def end_profiling(self) -> Path:
        return Path(self._session.end_profiling())


class OnnxCudaSession:
    """A model on the GPU with its input and output; kernels are replayed as one CUDA graph."""

    def __init__(self, files: RuntimeFiles, options: ort.SessionOptions) -> None:
        self._session = _open(files, options, "cuda")
        (image,) = self._session.get_inputs()
        (logits,) = self._session.get_outputs()
        self.image = timing_image(image.shape[-1])
        self._given = ort.OrtValue.ortvalue_from_numpy(self.image, "cuda", 0)
        self._answer = ort.OrtValue.ortvalue_from_shape_and_type(
            logits.shape, np.float32, "cuda", 0
        )
        self._binding = self._session.io_binding()
        self._binding.bind_ortvalue_input(image.name, self._given)
        self._binding.bind_ortvalue_output(logits.name, self._answer)
        self.run()

    def run(self) -> None:
        """Run one inference."""
        self._session.run_with_iobinding(self._binding)
        self._binding.synchronize_outputs()

    def logits(self) -> NDArray[np.float32]:
        self.run()
        found: NDArray[np.float32] = self._answer.numpy().copy()
        return found


class OnnxRuntime(BaseRuntime):
    """ONNX Runtime, the runtime of `--device cpu`."""

    name: RuntimeName = "onnxruntime"
    label = "onnxruntime"
    release = ort.__version__

    def __init__(
        self,
        precision: Precision = "fp32",
        processor: Processor = "cpu",
        *,
        calibration_images: CalibrationImages = "",
    ) -> None:
        """
        Args:
            precision: fp32; int8 on cpu; fp16 on cuda.
            processor: cpu or cuda.
            calibration_images: images for int8 or their path, see `read_images`.

        Raises:
            InputError: this build of ONNX Runtime lacks the processor's provider.
        """
        available = ort.get_available_providers()
        if _PROVIDERS[processor] not in available:
            raise InputError(
                f"processor {processor!r} needs ONNX Runtime's {_PROVIDERS[processor]}, and the "
                f"installed one has {', '.join(available)}: pip install onnxruntime-gpu instead of "
                f"onnxruntime"
            )
        super().__init__(precision, processor)
        self._images = calibration_images
        if processor == "cuda":
            self.timer = wall_timer

    def write(self, arch: Architecture, model: Any = None) -> RuntimeFiles:
        content = onnx_bytes(arch, model)
        if self.precision == "int8":
            content = quantize(content, read_images(self._images, arch.resolution))
        elif self.precision == "fp16":
            content = convert_to_half(content)
        return {".onnx": content}

    def load(self, files: RuntimeFiles, threads: int) -> OnnxSession | OnnxCudaSession:
        if self.processor == "cuda":
            return OnnxCudaSession(files, _options(threads))
        return OnnxSession(files, _options(threads))

    def layer_seconds(self, files: RuntimeFiles, threads: int, runs: int) -> dict[str, float]:
        if self.processor == "cuda":
            raise MeasurementError(
                "ONNX Runtime cannot tell the time of single layers on 'cuda': its profiler sees "
                "when a kernel was launched, not how long it ran"
            )
        plain = self.load(files, threads)
        calls = [self.timer(plain.run)[0] for _ in range(runs)]
        with tempfile.TemporaryDirectory() as folder:
            options = _options(threads)
            options.enable_profiling = True
            options.profile_file_prefix = str(Path(folder) / "layers")
            session = OnnxSession(files, options)
            for _ in range(_WARM_UP + runs):
                session.run()
            events = json.loads(session.end_profiling().read_text())
        # The sessions do not alternate, because each would evict the other's data from the caches.
        calls += [self.timer(plain.run)[0] for _ in range(runs)]
        return _layer_seconds(events, runs, statistics.median(calls))


def _open(
    files: RuntimeFiles, options: ort.SessionOptions, processor: Processor
) -> ort.InferenceSession:
    provider = _PROVIDERS[processor]
    settings = {"enable_cuda_graph": "1"} if processor == "cuda" else {}
    try:
        session = ort.InferenceSession(files[".onnx"], options, providers=[(provider, settings)])
    except Exception as error:
        raise refuse_file("ONNX Runtime", error) from None
    if session.get_providers()[0] != provider:
        # ONNX Runtime falls back to the processor without an error.
        raise MeasurementError(
            f"ONNX Runtime could not start its {provider}; are the CUDA libraries it was built "
            f"for installed?"
        )
    return session


def _options(threads: int) -> ort.SessionOptions:
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = _ERRORS_AND_WORSE
    # An idle session with several threads would spin and slow the timed one down.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return options


def _layer_seconds(
    events: list[dict[str, Any]], runs: int, call_seconds: float
) -> dict[str, float]:
    """Return the seconds of every layer, from `_WARM_UP + runs` runs of a profiling session.

    Profiling adds microseconds to each kernel, which matters for the 260 short kernels of stock V2.
    The excess of their sum over an unprofiled call is subtracted in equal parts.
    """
    kernels = [
        event
        for event in events
        if event.get("cat") == "Node" and event["name"].endswith("_kernel_time")
    ]
    durations = np.array([event["dur"] for event in kernels]) * 1e-6
    # All runs have the same kernels; in the first runs the caches are cold.
    medians = np.median(durations.reshape(_WARM_UP + runs, -1)[_WARM_UP:], axis=0)
    overhead = max(0.0, float(medians.sum()) - call_seconds) / len(medians)
    total: defaultdict[str, float] = defaultdict(float)
    for event, seconds in zip(kernels, medians, strict=False):
        node = event["name"].removesuffix("_kernel_time")
        is_layout = event["args"]["op_name"].lower().startswith(_LAYOUT_OPS)
        layer = LAYOUT_CHANGES if is_layout else _ADDED_TO_NAMES.sub("", node)
        total[layer] += max(0.0, float(seconds) - overhead)
    return dict(total)
