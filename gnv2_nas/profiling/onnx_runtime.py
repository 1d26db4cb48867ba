"""ONNX Runtime."""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from gnv2_nas.arch import Architecture
from gnv2_nas.errors import MeasurementError
from gnv2_nas.graph import onnx_bytes
from gnv2_nas.profiling.parity import timing_image
from gnv2_nas.profiling.runtime import (
    LAYOUT,
    Artefact,
    Precision,
    Processor,
    RuntimeName,
    thread_timer,
)

_WARNINGS_AND_WORSE = 3
_LAYOUT_OPS = ("reorder", "flatten", "reshape", "transpose")


class OnnxSession:
    """A loaded model and its bound input."""

    def __init__(self, artefact: Artefact, options: ort.SessionOptions) -> None:
        try:
            self._session = ort.InferenceSession(
                artefact[".onnx"], options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:
            raise MeasurementError(f"ONNX Runtime refused the file: {_line(error)}") from None
        (self._input,) = self._session.get_inputs()
        self.image = timing_image(self._input.shape[-1])
        self._feed = {self._input.name: self.image}
        self._outputs = [output.name for output in self._session.get_outputs()]

    def run(self) -> Any:
        """One inference; returns the list of outputs."""
        return self._session.run(self._outputs, self._feed)

    def logits(self) -> NDArray[np.float32]:
        (logits,) = self.run()
        found: NDArray[np.float32] = logits
        return found

    def end_profiling(self) -> Path:
        return Path(self._session.end_profiling())


class OnnxRuntime:
    """The reference runtime: what `--device cpu` times."""

    name: RuntimeName = "onnxruntime"
    timer = staticmethod(thread_timer)

    def __init__(self, precision: Precision = "fp32", processor: Processor = "cpu") -> None:
        self.precision, self.processor = precision, processor

    def version(self) -> str:
        return f"onnxruntime {ort.__version__}"

    def write(self, arch: Architecture, model: Any = None) -> Artefact:
        return {".onnx": onnx_bytes(arch, model)}

    def load(self, artefact: Artefact, threads: int) -> OnnxSession:
        return OnnxSession(artefact, _options(threads))

    def layer_seconds(self, artefact: Artefact, threads: int, runs: int) -> dict[str, float]:
        with tempfile.TemporaryDirectory() as folder:
            options = _options(threads)
            options.enable_profiling = True
            options.profile_file_prefix = str(Path(folder) / "layers")
            session = OnnxSession(artefact, options)
            for _ in range(runs):
                session.run()
            events = json.loads(session.end_profiling().read_text())
        return _mean_seconds(events, runs)


def _options(threads: int) -> ort.SessionOptions:
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = _WARNINGS_AND_WORSE
    # A waiting session of several threads would spin and slow the one being timed.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return options


def _mean_seconds(events: list[dict[str, Any]], runs: int) -> dict[str, float]:
    total: Counter[str] = Counter()
    for event in events:
        if event.get("cat") != "Node" or not event["name"].endswith("_kernel_time"):
            continue
        node = event["name"].removesuffix("_kernel_time")
        is_layout = event["args"]["op_name"].lower().startswith(_LAYOUT_OPS)
        total[LAYOUT if is_layout else node.removesuffix("_nchwc")] += event["dur"]
    return {name: duration * 1e-6 / runs for name, duration in total.items()}


def _line(error: Exception) -> str:
    return " ".join(str(error).split())
