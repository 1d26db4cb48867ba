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

import openvino as ov

from gnv2_nas.arch import Architecture
from gnv2_nas.checkpoints.contents import ARCHITECTURE_KEY
from gnv2_nas.errors import InputError
from gnv2_nas.formats.onnx.writer import onnx_bytes
from gnv2_nas.graph import lower
from gnv2_nas.graph.passes.form import FileForm
from gnv2_nas.runner.timing import RuntimeFiles
from gnv2_nas.runtimes.base import (
    LAYOUT_CHANGES,
    BaseRuntime,
    Precision,
    RuntimeName,
)

FORM = FileForm(channel_multiple=1, fuse_up_to=16, split_depthwise=True, sink_concats=True)
"""The form that OpenVINO runs fastest. Padding only adds work in its layout. Fused Ghost modules
fit one AVX-512 register."""
SPELL_OUT = ("hard_sigmoid",)
"""Op kinds that OpenVINO fuses into the convolution before them if they are several nodes."""
_CAPABILITIES: dict[Precision, str] = {"fp16": "FP16", "bf16": "BF16"}
_OUTPUT = "logits"
_NUMBERED = re.compile(r"_\d+$")
_WARM_UP = 2


class OpenVino(BaseRuntime):
    """OpenVINO. Half precisions need a CPU that computes in them; int8 uses a quantised file."""

    name: RuntimeName = "openvino"
    label = "openvino"
    built_in_form = FORM

    def check_here(self) -> None:
        known = ov.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        needed = _CAPABILITIES.get(self.precision)
        if needed is not None and needed not in known:
            raise InputError(
                f"runtime 'openvino' runs at {self.precision} where the CPU does; this one has "
                f"{', '.join(sorted(set(known) & {'FP32', 'FP16', 'BF16', 'INT8'}))}"
            )

    def write(self, arch: Architecture, model: Any = None) -> RuntimeFiles:
        form = self.form.over(FORM)
        if self.precision == "int8":
            from gnv2_nas.runtimes.quantization import quantize, read_images

            images = read_images(self.calibration_images, arch.resolution)
            return save_ir(quantize(onnx_bytes(arch, model, form=form), images), arch.to_json())
        content = onnx_bytes(arch, model, form=form, spell_out=SPELL_OUT)
        return save_ir(content, arch.to_json())

    def layer_seconds(self, files: RuntimeFiles, threads: int, runs: int) -> dict[str, float]:
        from gnv2_nas.runner.openvino_session import OpenVinoSession, session_options

        options = session_options(threads, self.precision) | {"PERF_COUNT": True}
        session = OpenVinoSession(files, options)
        owner = _owner_of_nodes(Architecture.from_json(session.metadata(ARCHITECTURE_KEY)))
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


def save_ir(onnx: bytes, architecture: str = "") -> RuntimeFiles:
    """Convert an ONNX file to reproducible IR; `architecture` is put into its `rt_info`."""
    model = ov.Core().read_model(onnx)
    if architecture:
        model.set_rt_info(architecture, [ARCHITECTURE_KEY])
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
            node = re.sub(r"[./:]?[^./:]*$", "", node)
        return node or LAYOUT_CHANGES

    return owner
