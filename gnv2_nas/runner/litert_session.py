"""Sessions of LiteRT (TensorFlow Lite) with XNNPACK."""

from __future__ import annotations

import atexit
import math
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter

from gnv2_nas.errors import MeasurementError
from gnv2_nas.runner.sessions import engine_version, refuse_file
from gnv2_nas.runner.timing import RuntimeFiles, Session, timing_input

if TYPE_CHECKING:
    from ai_edge_litert.environment import Environment
    from numpy.typing import NDArray

SUFFIX = ".tflite"
FORCE_FP16 = 1 << 2
"""`TFLITE_XNNPACK_DELEGATE_FLAG_FORCE_FP16` of xnnpack_delegate.h."""


def open_session(files: RuntimeFiles, threads: int, precision: str, _: str) -> Session:
    """Load a file, see `sessions.open_session`."""
    if precision != "fp16":
        return LiteRtSession(files, threads)
    try:
        return LiteRtHalfSession(files, threads)
    except ImportError:
        raise MeasurementError(
            f"LiteRT {engine_version('litert')} computes at float32 only in Python; half precision "
            f"needs 2.3"
        ) from None


class LiteRtSession:
    """A loaded model with its input in place."""

    def __init__(self, files: RuntimeFiles, threads: int) -> None:
        # The interpreter reads the weights in place, so the bytes must stay alive.
        self._content = files[SUFFIX]
        try:
            with quiet():
                self._interpreter = Interpreter(model_content=self._content, num_threads=threads)
                self._interpreter.allocate_tensors()
            (source,) = self._interpreter.get_input_details()
            output = self._interpreter.get_output_details()[0]
            given = timing_input(source["shape"], np.dtype(source["dtype"]).name)
            self._input: int = source["index"]
            self._interpreter.set_tensor(self._input, given)
            self.image = _channels_first(given)
        except (RuntimeError, ValueError) as error:
            raise refuse_file("LiteRT", error) from None
        self._output: int = output["index"]

    def set_image(self, image: NDArray[np.float32]) -> None:
        self.image[...] = image
        self._interpreter.set_tensor(self._input, _channels_last(self.image))

    def run(self) -> None:
        """Run one inference; the output stays in the interpreter."""
        self._interpreter.invoke()

    def logits(self) -> NDArray[np.float32]:
        self.run()
        copy = self._interpreter.get_tensor(self._output)
        found: NDArray[np.float32] = copy.astype(np.float32, copy=False)
        return found


class LiteRtHalfSession:
    """A loaded model at half precision, which the interpreter's Python interface does not offer."""

    def __init__(self, files: RuntimeFiles, threads: int) -> None:
        # Older versions lack these modules.
        from ai_edge_litert.compiled_model import CompiledModel
        from ai_edge_litert.options import CpuOptions, Options

        self._content = files[SUFFIX]
        options = Options(cpu_options=CpuOptions(num_threads=threads, xnnpack_flags=FORCE_FP16))
        try:
            with quiet():
                self._model = CompiledModel.from_buffer(
                    self._content, environment=_environment(), options=options
                )
                self._inputs = self._model.create_input_buffers(0)
                self._outputs = self._model.create_output_buffers(0)
                (source,) = self._details(self._model.get_input_tensor_details)
                output = self._details(self._model.get_output_tensor_details)[0]
                given = timing_input(source["shape"], source["dtype"])
                self._inputs[0].write(given)
                self.image = _channels_first(given)
                self.run()
        except (RuntimeError, ValueError) as error:
            raise refuse_file("LiteRT", error) from None
        self._shape, self._type = output["shape"], np.dtype(output["dtype"])

    def set_image(self, image: NDArray[np.float32]) -> None:
        self.image[...] = image
        self._inputs[0].write(_channels_last(self.image))

    def run(self) -> None:
        """Run one inference; the output stays in its buffer."""
        self._model.run_by_index(0, self._inputs, self._outputs)

    def logits(self) -> NDArray[np.float32]:
        self.run()
        copy = self._outputs[0].read(math.prod(self._shape), self._type)
        found: NDArray[np.float32] = copy.astype(np.float32, copy=False).reshape(self._shape)
        return found

    def _details(self, ask: Callable[[str], dict[str, Any]]) -> list[Any]:
        return list(ask(next(iter(self._model.get_signature_list()))).values())


def _channels_first(image: NDArray[Any]) -> NDArray[Any]:
    return image.transpose(0, 3, 1, 2) if image.ndim == 4 else image


def _channels_last(image: NDArray[Any]) -> NDArray[Any]:
    return np.ascontiguousarray(image.transpose(0, 2, 3, 1))


@cache
def _environment() -> Environment:
    """Return the environment of all sessions. LiteRT writes to the terminal when it is destroyed at
    the end of the process, so stderr is silenced then."""
    from ai_edge_litert.environment import Environment

    atexit.register(_silence)
    return Environment.create()


@contextmanager
def quiet() -> Iterator[None]:
    """Suppress LiteRT's messages on the terminal; it raises them as errors, too."""
    if sys.stderr is None:
        yield
        return
    kept = os.dup(2)
    _silence()
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def _silence() -> None:
    sys.stderr.flush()
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    os.close(nowhere)
