"""Opening a session: a network's files, loaded into one inference engine."""

from __future__ import annotations

import importlib
from importlib.metadata import PackageNotFoundError, version

from gnv2_nas.errors import MeasurementError, first_line
from gnv2_nas.runner.timing import RuntimeFiles, Session

ENGINES = {
    "executorch": ("executorch_session", "executorch"),
    "litert": ("litert_session", "ai-edge-litert"),
    "ncnn": ("ncnn_session", "ncnn"),
    "onnxruntime": ("onnx_session", "onnxruntime"),
    "openvino": ("openvino_session", "openvino"),
}
"""Runtime → the module that opens its sessions, and the distribution that installs the engine."""


def open_session(
    engine: str, files: RuntimeFiles, threads: int, precision: str = "fp32", processor: str = "cpu"
) -> Session:
    """Load files into a fresh session on `timing_image`.

    Args:
        engine: a key of `ENGINES`.
        files: see `Runtime.write`.
        threads: number of threads of the engine.
        precision: precision of feature maps; int8 files carry it themselves.
        processor: processor that it runs on.

    Raises:
        MeasurementError: the engine refused the files.
    """
    module, _ = ENGINES[engine]
    opener = importlib.import_module(f"gnv2_nas.runner.{module}").open_session
    session: Session = opener(files, threads, precision, processor)
    return session


def refuse_file(engine: str, error: Exception) -> MeasurementError:
    """Return the error of an engine that refused a file."""
    return MeasurementError(f"{engine} refused the file: {first_line(error)}")


def engine_version(engine: str) -> str:
    """Return the version of the installed engine; "" if it is not installed."""
    try:
        return version(ENGINES[engine][1])
    except PackageNotFoundError:
        return ""
