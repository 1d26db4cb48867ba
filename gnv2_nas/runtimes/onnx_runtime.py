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

from gnv2_nas.arch import Architecture
from gnv2_nas.errors import InputError, MeasurementError
from gnv2_nas.formats.onnx.precision import GATE, convert_to_half
from gnv2_nas.formats.onnx.writer import FORM, onnx_bytes
from gnv2_nas.runner.timing import RuntimeFiles
from gnv2_nas.runtimes.base import (
    LAYOUT_CHANGES,
    BaseRuntime,
    RuntimeName,
)
from gnv2_nas.runtimes.quantization import quantize, read_images

_WARM_UP = 2
"""Profiled runs that are discarded."""
_LAYOUT_OPS = ("reorder", "flatten", "reshape", "transpose", "quantizelinear", "dequantizelinear")
_ADDED_TO_NAMES = re.compile(rf"(_nchwc|_token_\d+|:\d+|{re.escape(GATE)})+$")


class OnnxRuntime(BaseRuntime):
    """ONNX Runtime, the runtime of `--device cpu`."""

    name: RuntimeName = "onnxruntime"
    label = "onnxruntime"
    built_in_form = FORM

    def check_here(self) -> None:
        import onnxruntime as ort

        from gnv2_nas.runner.onnx_session import PROVIDERS

        available = ort.get_available_providers()
        if PROVIDERS[self.processor] not in available:
            raise InputError(
                f"processor {self.processor!r} needs ONNX Runtime's "
                f"{PROVIDERS[self.processor]}, and the "
                f"installed one has {', '.join(available)}: pip install onnxruntime-gpu instead of "
                f"onnxruntime"
            )

    def write(self, arch: Architecture, model: Any = None) -> RuntimeFiles:
        content = onnx_bytes(arch, model, form=self.form)
        if self.precision == "int8":
            content = quantize(content, read_images(self.calibration_images, arch.resolution))
        elif self.precision == "fp16":
            content = convert_to_half(content)
        return {".onnx": content}

    def layer_seconds(self, files: RuntimeFiles, threads: int, runs: int) -> dict[str, float]:
        if self.processor == "cuda":
            raise MeasurementError(
                "ONNX Runtime cannot tell the time of single layers on 'cuda': its profiler sees "
                "when a kernel was launched, not how long it ran"
            )
        from gnv2_nas.runner.onnx_session import OnnxSession, session_options

        plain = self.load(files, threads)
        calls = [self.timer(plain.run)[0] for _ in range(runs)]
        with tempfile.TemporaryDirectory() as folder:
            options = session_options(threads)
            options.enable_profiling = True
            options.profile_file_prefix = str(Path(folder) / "layers")
            session = OnnxSession(files, options)
            for _ in range(_WARM_UP + runs):
                session.run()
            events = json.loads(session.end_profiling().read_text())
        # The sessions do not alternate, because each would evict the other's data from the caches.
        calls += [self.timer(plain.run)[0] for _ in range(runs)]
        return _layer_seconds(events, runs, statistics.median(calls))


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
