"""OpenVINO on the CPU.

Its file is what the ONNX writer gives in the form OpenVINO runs best, saved in OpenVINO's own
format (IR): the same network is 6 % faster from that than from ONNX, whose weights OpenVINO
copies to other places in memory.
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
"""Of int8 files: what is not quantised in the file."""
_CAPABILITIES: dict[Precision, str] = {"fp16": "FP16", "bf16": "BF16"}
_OUTPUT = "logits"
_NUMBERED = re.compile(r"_\d+$")
_WARM_UP = 2
_CUT_OFF = 0.5e-6


class OpenVinoSession:
    """A compiled model and its one request, input in place."""

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
        """The network that the file says it is."""
        return Architecture.from_json(self._model.get_rt_info([ARCHITECTURE_KEY]).astype(str))

    def run(self) -> Any:
        """One inference, in the calling thread where there is one thread."""
        return self._request.infer()

    def logits(self) -> NDArray[np.float32]:
        self.run()
        logits: NDArray[np.float32] = self._request.get_output_tensor().data.astype(np.float32)
        return logits

    def mean_times(self) -> list[tuple[str, str, float]]:
        """(node, its type, mean seconds a call since loading); needs PERF_COUNT.

        OpenVINO cuts the means off at whole microseconds: half of one is missing on average.
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
        """Channels as they are: in OpenVINO's layout (channels last) padding only adds work.

        Hard sigmoid in three nodes is fused into the convolution before it; as one node it is not.
        """
        if self.precision == "int8":
            from gnv2_nas.runtimes.quantization import quantize, read_images

            images = read_images(self._images, arch.resolution)
            return _saved(quantize(onnx_bytes(arch, model, **_FORM), images), arch)
        return _saved(onnx_bytes(arch, model, **_FORM, spell_out=("hard_sigmoid",)), arch)

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
            # The means are over all calls; the first ones, which warm up, are taken out again.
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


def _saved(onnx: bytes, arch: Architecture) -> RuntimeFiles:
    """The ONNX file in OpenVINO's format, always the same; the architecture is in its `rt_info`."""
    model = ov.Core().read_model(onnx)
    model.set_rt_info(arch.to_json(), [ARCHITECTURE_KEY])
    for number, op in enumerate(model.get_ordered_ops()):
        if _NUMBERED.search(op.get_friendly_name()):
            # The number counts every node this process has made.
            op.set_friendly_name(f"{op.get_type_name()}_{number}")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "network.xml"
        # `save_model` writes the same and copies the whole model before.
        ov.serialize(model, str(path))
        return {suffix: path.with_suffix(suffix).read_bytes() for suffix in (".xml", ".bin")}


def _owner_of_nodes(arch: Architecture) -> Callable[[str], str]:
    """OpenVINO's name of a node → the op it stands for, or `LAYOUT_CHANGES`.

    Its names are those of the ONNX nodes, with something behind them where it split one up.
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
    """What OpenVINO says, without the lines that say where in its source."""
    lines = [line for line in str(error).splitlines() if not line.startswith("Exception from")]
    return " ".join(" ".join(lines).split())[:300]
