"""ONNX Runtime on the CPU."""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort

from gnv2_nas.arch import Architecture
from gnv2_nas.errors import MeasurementError
from gnv2_nas.graph import onnx_bytes

_WARNINGS_AND_WORSE = 3
LAYOUT = "(layout)"
_LAYOUT_OPS = ("reorder", "flatten", "reshape", "transpose")


class OnnxSession:
    """A loaded model and its bound input."""

    def __init__(self, artefact: bytes, options: ort.SessionOptions) -> None:
        try:
            self._session = ort.InferenceSession(
                artefact, options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:
            raise MeasurementError(f"ONNX Runtime refused the file: {_line(error)}") from None
        (self._input,) = self._session.get_inputs()
        noise = np.random.default_rng(0).standard_normal(self._input.shape, dtype=np.float32)
        self._feed = {self._input.name: noise}
        self._outputs = [output.name for output in self._session.get_outputs()]

    def run(self) -> Any:
        """One inference; returns the list of outputs."""
        return self._session.run(self._outputs, self._feed)

    def end_profiling(self) -> Path:
        return Path(self._session.end_profiling())


class OnnxRuntime:
    """The reference runtime: what `--device cpu` times."""

    name = "onnxruntime"

    def version(self) -> str:
        return f"onnxruntime {ort.__version__}"

    def write(self, arch: Architecture) -> bytes:
        return onnx_bytes(arch)

    def load(self, artefact: bytes, threads: int) -> OnnxSession:
        return OnnxSession(artefact, _options(threads))

    def layer_seconds(self, artefact: bytes, threads: int, runs: int) -> dict[str, float]:
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
