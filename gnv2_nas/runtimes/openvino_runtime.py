"""OpenVINO on the CPU.

The ONNX writer's file, in the form that OpenVINO runs fastest, is saved in OpenVINO's own format
(IR). A network is 6 % faster from that than from ONNX, whose weights OpenVINO copies elsewhere in
memory.
"""

from __future__ import annotations

import re
import tempfile
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
from numpy.typing import NDArray

from gnv2_nas.arch import Architecture
from gnv2_nas.checkpoints.contents import ARCHITECTURE_KEY
from gnv2_nas.errors import InputError, MeasurementError
from gnv2_nas.formats.onnx.writer import onnx_bytes
from gnv2_nas.graph import lower
from gnv2_nas.runtimes.base import (
    LAYOUT_CHANGES,
    BaseRuntime,
    CalibrationImages,
    Precision,
    Processor,
    RuntimeFiles,
    RuntimeName,
)
from gnv2_nas.runtimes.parity import timing_image

VECTOR = 16
"""Channels in one AVX-512 register, see `fuse_ghost_modules`."""
_HINTS: dict[Precision, str] = {"fp32": "f32", "fp16": "f16", "bf16": "bf16", "int8": "f32"}
"""For int8, the hint applies to operators that the file does not quantize."""
_CAPABILITIES: dict[Precision, str] = {"fp16": "FP16", "bf16": "BF16"}
_OUTPUT = "logits"
_NUMBERED = re.compile(r"_\d+$")
_WARM_UP = 2
_CUT_OFF = 0.5e-6


class OpenVinoSession:
    """A compiled model with one request and its input in place."""

    def __init__(self, files: RuntimeFiles, options: dict[str, Any]) -> None:
        core = ov.Core()
        try:
            weights = ov.Tensor(np.frombuffer(files[".bin"], np.uint8))
            model = core.read_model(files[".xml"], weights)
            compiled = core.compile_model(model, "CPU", options)
        except Exception as error:
            raise MeasurementError(f"OpenVINO refused the file: {_line(error)}") from None
        self._model = model
        self._request = compiled.create_infer_request()
        self.image = timing_image(compiled.input().shape[-1])
        self._request.set_input_tensor(ov.Tensor(self.image))

    @property
    def architecture(self) -> Architecture:
        """The network, from the file's metadata."""
        return Architecture.from_json(self._model.get_rt_info([ARCHITECTURE_KEY]).astype(str))

    def run(self) -> Any:
        """Run one inference; with one thread, in the calling thread."""
        return self._request.infer()

    def logits(self) -> NDArray[np.float32]:
        self.run()
        logits: NDArray[np.float32] = self._request.get_output_tensor().data.astype(np.float32)
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


class OpenVino(BaseRuntime):
    """OpenVINO. Half precisions need a CPU that computes in them; int8 uses a quantised file."""

    name: RuntimeName = "openvino"
    label = "openvino"
    release = ov.__version__.split("-")[0]

    def __init__(
        self,
        precision: Precision = "fp32",
        processor: Processor = "cpu",
        *,
        calibration_images: CalibrationImages = "",
    ) -> None:
        super().__init__(precision, processor)
        self._images = calibration_images
        known = ov.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        needed = _CAPABILITIES.get(precision)
        if needed is not None and needed not in known:
            raise InputError(
                f"runtime 'openvino' runs at {precision} where the CPU does; this one has "
                f"{', '.join(sorted(set(known) & {'FP32', 'FP16', 'BF16', 'INT8'}))}"
            )

    def write(self, arch: Architecture, model: Any = None) -> RuntimeFiles:
        """Write IR without padded channels, which only add work in OpenVINO's layout.

        Hard sigmoid is written as three nodes, which OpenVINO fuses into the convolution before it.
        """
        if self.precision == "int8":
            from gnv2_nas.runtimes.quantization import quantize, read_images

            images = read_images(self._images, arch.resolution)
            return _save_ir(quantize(onnx_bytes(arch, model, **_FORM), images), arch)
        return _save_ir(onnx_bytes(arch, model, **_FORM, spell_out=("hard_sigmoid",)), arch)

    def load(self, files: RuntimeFiles, threads: int) -> OpenVinoSession:
        return OpenVinoSession(files, self._options(threads))

    def layer_seconds(self, files: RuntimeFiles, threads: int, runs: int) -> dict[str, float]:
        session = OpenVinoSession(files, self._options(threads) | {"PERF_COUNT": True})
        owner = _owner_of_nodes(session.architecture)
        for _ in range(_WARM_UP):
            session.run()
        before = session.mean_times()
        for _ in range(runs):
            session.run()
        total: defaultdict[str, float] = defaultdict(float)
        for (node, kind, cold), (_, _, mean) in zip(before, session.mean_times(), strict=True):
            # Means are over all calls, so the warm-up calls are subtracted.
            seconds = (mean * (_WARM_UP + runs) - cold * _WARM_UP) / runs
            total[LAYOUT_CHANGES if kind == "Reorder" else owner(node)] += max(seconds, 0.0)
        return dict(total)

    def _options(self, threads: int) -> dict[str, Any]:
        return {
            "PERFORMANCE_HINT": "LATENCY",
            "NUM_STREAMS": "1",
            "INFERENCE_NUM_THREADS": threads,
            "INFERENCE_PRECISION_HINT": _HINTS[self.precision],
        }


_FORM: dict[str, Any] = {"channel_multiple": 1, "fuse_up_to": VECTOR, "sink_concats": True}


def _save_ir(onnx: bytes, arch: Architecture) -> RuntimeFiles:
    """Convert an ONNX file to reproducible IR with the architecture in its `rt_info`."""
    model = ov.Core().read_model(onnx)
    model.set_rt_info(arch.to_json(), [ARCHITECTURE_KEY])
    for number, op in enumerate(model.get_ordered_ops()):
        if _NUMBERED.search(op.get_friendly_name()):
            # The number depends on how many nodes this process has created.
            op.set_friendly_name(f"{op.get_type_name()}_{number}")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "network.xml"
        # `save_model` would write the same after copying the whole model.
        ov.serialize(model, str(path))
        return {suffix: path.with_suffix(suffix).read_bytes() for suffix in (".xml", ".bin")}


def _owner_of_nodes(arch: Architecture) -> Callable[[str], str]:
    """Return a function from OpenVINO's name of a node to its op, or `LAYOUT_CHANGES`.

    The names are those of the ONNX nodes, with a suffix where OpenVINO split a node.
    """
    graph = lower(arch)
    names = {op.name for op in graph.ops}

    def owner(node: str) -> str:
        if node.split("/")[0] == _OUTPUT:
            return graph.output.name
        while node and node not in names:
            node = re.sub(r"[./]?[^./]*$", "", node)
        return node or LAYOUT_CHANGES

    return owner


def _line(error: Exception) -> str:
    """Return the message without the lines that name OpenVINO's source files."""
    lines = [line for line in str(error).splitlines() if not line.startswith("Exception from")]
    return " ".join(" ".join(lines).split())[:300]
