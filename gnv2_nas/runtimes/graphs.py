"""Files and logits of graphs that are no whole network, such as a few equal modules.

Their weights are `TimingWeights`. A graph takes (1, 3, side, side) and ends with a linear layer.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from types import MappingProxyType

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from gnv2_nas.errors import InputError
from gnv2_nas.graph.op import Graph
from gnv2_nas.graph.weights import TimingWeights
from gnv2_nas.runner.timing import RuntimeFiles, timing_image
from gnv2_nas.runtimes.base import Runtime, RuntimeName


def write_graph(runtime: Runtime, graph: Graph) -> RuntimeFiles:
    """Write the files that a runtime loads, in the form that it has for networks.

    Raises:
        InputError: see `check_runs_graphs`.
        MeasurementError: this runtime cannot run the graph.
    """
    check_runs_graphs(runtime.name)
    return _WRITERS[runtime.name](runtime, graph)


def check_runs_graphs(runtime: RuntimeName) -> None:
    """Check that a runtime loads files of graphs.

    Raises:
        InputError: it loads whole networks only.
    """
    if runtime not in _WRITERS:
        raise InputError(
            f"runtime {runtime!r} runs whole networks only, not single modules; those that do are "
            f"{', '.join(_WRITERS)}"
        )


def graph_logits(graph: Graph) -> NDArray[np.float32]:
    """Return what torch computes for `timing_image`: (1, features)."""
    import torch

    from gnv2_nas.nn.interpreter import run_graph, torch_threads

    weights, tensors = TimingWeights(), {}
    for op in graph.ops:
        if op.weight:
            kernel, bias = weights.fold(op)
            tensors[f"{op.weight}.weight"] = torch.from_numpy(kernel)
            tensors[f"{op.weight}.bias"] = torch.from_numpy(bias)
    folded = Graph(tuple(replace(op, norm="", bias=bool(op.weight)) for op in graph.ops))
    image = torch.from_numpy(timing_image(graph.ops[0].shape[-1]))
    with torch_threads(1), torch.inference_mode():
        logits: NDArray[np.float32] = run_graph(folded, tensors, image).numpy()
    return logits


def _onnx(runtime: Runtime, graph: Graph) -> RuntimeFiles:
    from gnv2_nas.formats.onnx.precision import convert_to_half

    content = _onnx_bytes(runtime, graph)
    return {".onnx": convert_to_half(content) if runtime.precision == "fp16" else content}


def _openvino(runtime: Runtime, graph: Graph) -> RuntimeFiles:
    from gnv2_nas.runtimes.openvino_runtime import SPELL_OUT, save_ir

    # A file is quantized before OpenVINO reads it, and then without its nodes in parts.
    spell_out = () if runtime.precision == "int8" else SPELL_OUT
    return save_ir(_onnx_bytes(runtime, graph, spell_out))


def _onnx_bytes(runtime: Runtime, graph: Graph, spell_out: Collection[str] = ()) -> bytes:
    from gnv2_nas.formats.onnx import writer
    from gnv2_nas.graph.passes.pipeline import rewrite_graph

    form = runtime.form.over(runtime.built_in_form)
    content = writer.write_graph(*rewrite_graph(graph, TimingWeights(), form), spell_out=spell_out)
    if runtime.precision != "int8":
        return content
    from gnv2_nas.runtimes.quantization import quantize

    return quantize(content)


def _litert(runtime: Runtime, graph: Graph) -> RuntimeFiles:
    from gnv2_nas.formats.tflite.writer import graph_bytes

    half = runtime.precision == "fp16"
    return {".tflite": graph_bytes(graph, TimingWeights(), runtime.form, half=half)}


def _ncnn(runtime: Runtime, graph: Graph) -> RuntimeFiles:
    from gnv2_nas.formats.ncnn.writer import graph_files

    return graph_files(graph, TimingWeights(), runtime.form)


def _executorch(runtime: Runtime, graph: Graph) -> RuntimeFiles:
    from gnv2_nas.formats.executorch.writer import graph_bytes

    return {".pte": graph_bytes(graph, TimingWeights(), runtime.form)}


_WRITERS: Mapping[RuntimeName, Callable[[Runtime, Graph], RuntimeFiles]] = MappingProxyType(
    {
        "executorch": _executorch,
        "litert": _litert,
        "ncnn": _ncnn,
        "onnxruntime": _onnx,
        "openvino": _openvino,
    }
)
