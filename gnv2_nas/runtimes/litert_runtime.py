"""LiteRT (TensorFlow Lite) with XNNPACK."""

from __future__ import annotations

from typing import Any

from gnv2_nas.arch import Architecture
from gnv2_nas.errors import MeasurementError
from gnv2_nas.formats.tflite.writer import FORM, tflite_bytes
from gnv2_nas.runner.sessions import engine_version
from gnv2_nas.runner.timing import RuntimeFiles
from gnv2_nas.runtimes.base import BaseRuntime, RuntimeName

SUFFIX = ".tflite"
PROFILED_RELEASES = ("2.3.0",)
"""Versions whose profiler was tested: its C interface is not stable."""


class LiteRt(BaseRuntime):
    """LiteRT, the runtime of TFLite files on phones, on this machine's processor."""

    name: RuntimeName = "litert"
    label = "LiteRT"
    built_in_form = FORM

    def write(self, arch: Architecture, model: Any = None) -> RuntimeFiles:
        return {SUFFIX: tflite_bytes(arch, model, form=self.form, half=self._half)}

    def layer_seconds(self, files: RuntimeFiles, threads: int, runs: int) -> dict[str, float]:
        release = engine_version(self.name)
        if release not in PROFILED_RELEASES:
            raise MeasurementError(
                f"LiteRT {release} cannot time single layers here: its profiler is supported "
                f"in version {' or '.join(PROFILED_RELEASES)} of ai-edge-litert"
            )
        from gnv2_nas.runner.litert_session import FORCE_FP16, quiet
        from gnv2_nas.runtimes.litert_layers import litert_layer_seconds

        image = self.load(files, threads).image
        flags = FORCE_FP16 if self._half else 0
        with quiet():
            return litert_layer_seconds(files[SUFFIX], image, threads, runs, flags)

    @property
    def _half(self) -> bool:
        return self.precision == "fp16"
