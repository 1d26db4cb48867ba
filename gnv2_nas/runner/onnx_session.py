"""Sessions of ONNX Runtime, on the processor and, experimentally, on CUDA."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnxruntime as ort

from gnv2_nas.errors import MeasurementError
from gnv2_nas.runner.sessions import refuse_file
from gnv2_nas.runner.timing import RuntimeFiles, timing_image, timing_input

if TYPE_CHECKING:
    from numpy.typing import NDArray

_ERRORS_AND_WORSE = 3
_TYPES = {
    "tensor(float)": "float32", "tensor(float16)": "float16", "tensor(int8)": "int8",
    "tensor(uint8)": "uint8",
}  # fmt: skip
PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}


def open_session(
    files: RuntimeFiles, threads: int, _: str, processor: str
) -> OnnxSession | OnnxCudaSession:
    """Load a model, see `sessions.open_session`."""
    kind = OnnxCudaSession if processor == "cuda" else OnnxSession
    return kind(files, session_options(threads))


class OnnxSession:
    """A loaded model with its input in place."""

    def __init__(self, files: RuntimeFiles, options: ort.SessionOptions) -> None:
        self._session = open_file(files, options, "cpu")
        (source,) = self._session.get_inputs()
        self.image = timing_input(source.shape, _TYPES[source.type])
        self._feed = {source.name: self.image}
        self._outputs = [output.name for output in self._session.get_outputs()]

    def set_image(self, image: NDArray[np.float32]) -> None:
        self.image[...] = image

    def run(self) -> Any:
        """Run one inference and return the list of outputs."""
        return self._session.run(self._outputs, self._feed)

    def logits(self) -> NDArray[np.float32]:
        found: NDArray[np.float32] = np.asarray(self.run()[0], np.float32)
        return found

    def metadata(self) -> dict[str, str]:
        """Return what the file says of itself, by key."""
        found: dict[str, str] = self._session.get_modelmeta().custom_metadata_map
        return found

    def end_profiling(self) -> Path:
        return Path(self._session.end_profiling())


class OnnxCudaSession:
    """A model on the GPU with its input and output; kernels are replayed as one CUDA graph."""

    def __init__(self, files: RuntimeFiles, options: ort.SessionOptions) -> None:
        self._session = open_file(files, options, "cuda")
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

    def set_image(self, image: NDArray[np.float32]) -> None:
        self.image[...] = image
        self._given.update_inplace(self.image)

    def run(self) -> None:
        """Run one inference."""
        self._session.run_with_iobinding(self._binding)
        self._binding.synchronize_outputs()

    def logits(self) -> NDArray[np.float32]:
        self.run()
        found: NDArray[np.float32] = self._answer.numpy().copy()
        return found


def open_file(
    files: RuntimeFiles, options: ort.SessionOptions, processor: str
) -> ort.InferenceSession:
    provider = PROVIDERS[processor]
    settings = {"enable_cuda_graph": "1"} if processor == "cuda" else {}
    try:
        session = ort.InferenceSession(files[".onnx"], options, providers=[(provider, settings)])
    except Exception as error:
        raise refuse_file("ONNX Runtime", error) from None
    # ONNX Runtime's Python class keeps the file for a second attempt with other providers.
    session._model_bytes = None
    if session.get_providers()[0] != provider:
        # ONNX Runtime falls back to the processor without an error.
        raise MeasurementError(
            f"ONNX Runtime could not start its {provider}; are the CUDA libraries it was built "
            f"for installed?"
        )
    return session


def session_options(threads: int) -> ort.SessionOptions:
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = _ERRORS_AND_WORSE
    # An idle session with several threads would spin and slow the timed one down.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return options
