"""Sessions of OpenVINO on the CPU."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import openvino as ov

from gnv2_nas.errors import MeasurementError
from gnv2_nas.runner.timing import RuntimeFiles, timing_input

if TYPE_CHECKING:
    from numpy.typing import NDArray

_HINTS = {"fp32": "f32", "fp16": "f16", "bf16": "bf16", "int8": "f32"}
"""For int8, the hint applies to operators that the file does not quantize."""
_CUT_OFF = 0.5e-6


def open_session(files: RuntimeFiles, threads: int, precision: str, _: str) -> OpenVinoSession:
    """Load a model, see `sessions.open_session`."""
    return OpenVinoSession(files, session_options(threads, precision))


def session_options(threads: int, precision: str) -> dict[str, Any]:
    """Return the options of a model that runs one inference at a time."""
    return {
        "PERFORMANCE_HINT": "LATENCY",
        "NUM_STREAMS": "1",
        "INFERENCE_NUM_THREADS": threads,
        "INFERENCE_PRECISION_HINT": _HINTS[precision],
    }


class OpenVinoSession:
    """A compiled model with one request and its input in place."""

    def __init__(self, files: RuntimeFiles, options: dict[str, Any]) -> None:
        core = ov.Core()
        try:
            weights = ov.Tensor(np.frombuffer(files[".bin"], np.uint8))
            model = core.read_model(files[".xml"], weights)
            compiled = core.compile_model(model, "CPU", options)
        except Exception as error:
            raise MeasurementError(f"OpenVINO refused the file: {explain_refusal(error)}") from None
        self._model = model
        self._request = compiled.create_infer_request()
        source = compiled.input()
        self.image = timing_input(source.shape, source.element_type.to_dtype().name)
        self.set_image(self.image)

    def set_image(self, image: NDArray[np.float32]) -> None:
        self.image[...] = image
        self._request.set_input_tensor(ov.Tensor(self.image))

    def metadata(self, key: str) -> str:
        """Return an entry of the file's metadata."""
        entry: str = self._model.get_rt_info([key]).astype(str)
        return entry

    def run(self) -> Any:
        """Run one inference; with one thread, in the calling thread."""
        return self._request.infer()

    def logits(self) -> NDArray[np.float32]:
        self.run()
        logits: NDArray[np.float32] = self._request.get_output_tensor(0).data.astype(np.float32)
        return logits

    def mean_times(self) -> list[tuple[str, str, float]]:
        """Return (node, its type, mean seconds a call since loading); requires PERF_COUNT.

        OpenVINO truncates means to whole microseconds, so half a microsecond is added.
        """
        return [
            (node.node_name, node.node_type, seconds and seconds + _CUT_OFF)
            for node in self._request.profiling_info
            for seconds in [node.real_time.total_seconds()]
        ]


def explain_refusal(error: Exception) -> str:
    """Return the message without the lines that name OpenVINO's source files."""
    lines = [line for line in str(error).splitlines() if not line.startswith("Exception from")]
    return " ".join(" ".join(lines).split())[:300]
