"""LiteRT (TensorFlow Lite) with XNNPACK."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray

from gnv2_nas.arch import Architecture
from gnv2_nas.errors import MeasurementError
from gnv2_nas.graph.tflite_writer import tflite_bytes
from gnv2_nas.profiling.litert_layers import litert_layer_seconds
from gnv2_nas.profiling.parity import timing_image
from gnv2_nas.profiling.runtime import (
    Artefact,
    Precision,
    Processor,
    RuntimeName,
    thread_timer,
)

SUFFIX = ".tflite"


class LiteRtSession:
    """A loaded model with its input in place."""

    def __init__(self, artefact: Artefact, threads: int) -> None:
        # The interpreter reads the weights where they are, so they must stay.
        self._content = artefact[SUFFIX]
        try:
            with _quiet():
                self._interpreter = Interpreter(model_content=self._content, num_threads=threads)
                self._interpreter.allocate_tensors()
            (source,) = self._interpreter.get_input_details()
            (output,) = self._interpreter.get_output_details()
            self.image = timing_image(int(source["shape"][1]))
            nhwc = np.ascontiguousarray(self.image.transpose(0, 2, 3, 1))
            self._interpreter.set_tensor(source["index"], nhwc)
        except (RuntimeError, ValueError) as error:
            line = " ".join(str(error).split())[:200]
            raise MeasurementError(f"LiteRT refused the file: {line}") from None
        self._output: int = output["index"]

    def run(self) -> None:
        """One inference; the output stays in the interpreter."""
        self._interpreter.invoke()

    def logits(self) -> NDArray[np.float32]:
        self.run()
        copy: NDArray[np.float32] = self._interpreter.get_tensor(self._output)
        return copy


class LiteRt:
    """What runs TFLite files on phones, here on this machine's processor."""

    name: RuntimeName = "litert"
    timer = staticmethod(thread_timer)

    def __init__(self, precision: Precision = "fp32", processor: Processor = "cpu") -> None:
        self.precision, self.processor = precision, processor

    def version(self) -> str:
        return f"LiteRT {version('ai-edge-litert')}"

    def write(self, arch: Architecture, model: Any = None) -> Artefact:
        return {SUFFIX: tflite_bytes(arch, model)}

    def load(self, artefact: Artefact, threads: int) -> LiteRtSession:
        return LiteRtSession(artefact, threads)

    def layer_seconds(self, artefact: Artefact, threads: int, runs: int) -> dict[str, float]:
        session = self.load(artefact, threads)
        with _quiet():
            return litert_layer_seconds(artefact[SUFFIX], session.image, threads, runs)


@contextmanager
def _quiet() -> Iterator[None]:
    """Nothing on the terminal: TFLite's C++ side writes there what it raises as well."""
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(nowhere)
        os.close(kept)
