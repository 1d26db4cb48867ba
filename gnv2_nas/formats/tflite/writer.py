"""`tflite_bytes`: Architecture → TFLite, with one table from op kind to operators."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import msgspec
import numpy as np

from gnv2_nas.arch import Architecture
from gnv2_nas.checkpoints.contents import ARCHITECTURE_KEY
from gnv2_nas.formats import INPUT, OUTPUT, nearest_sources
from gnv2_nas.formats.tflite.model import CHANNELS, PADDING_VALID, TfliteModel, convolution, nhwc
from gnv2_nas.formats.tflite.wire import serialize_tflite
from gnv2_nas.graph.lower import lower
from gnv2_nas.graph.op import Graph, Op, OpKind
from gnv2_nas.graph.passes.form import FileForm
from gnv2_nas.graph.passes.pipeline import rewrite_graph
from gnv2_nas.graph.weights import Array, Weights, weights_for

Write = Callable[[TfliteModel, int, Op, str], tuple[int, ...]]
"""(model, number, op, name of its output) → the tensors with its output."""


def _linear(model: TfliteModel, _: int, op: Op, name: str) -> tuple[int, ...]:
    kernel, bias = model.weights.fold(op)
    inputs = [
        model.whole(op.inputs[0]),
        model.constant(f"{op.weight}.weight", kernel),
        model.constant(f"{op.weight}.bias", bias),
    ]
    output = model.tensor(name, (1, op.shape[0]))
    return (model.operator("FULLY_CONNECTED", inputs, output, "FullyConnectedOptions"),)


def _relu(model: TfliteModel, _: int, op: Op, __: str) -> tuple[int, ...]:
    """Fused into the convolution before it; `lower` puts ReLUs nowhere else."""
    return model.parts[op.inputs[0]]


def _hard_sigmoid(model: TfliteModel, _: int, op: Op, name: str) -> tuple[int, ...]:
    """relu6(x + 3) / 6; the convolution before it does all but the division."""
    sixth = model.constant(f"{name}:sixth", np.array([1 / 6], np.float32))
    inputs = [model.whole(op.inputs[0]), sixth]
    return (model.operator("MUL", inputs, model.tensor(name, nhwc(op)), "MulOptions"),)


def _unary(kind: str, options: str = "") -> Write:
    def write(model: TfliteModel, _: int, op: Op, name: str) -> tuple[int, ...]:
        source, output = model.whole(op.inputs[0]), model.tensor(name, nhwc(op))
        return (model.operator(kind, [source], output, options),)

    return write


def _pool(kind: str) -> Write:
    def write(model: TfliteModel, _: int, op: Op, name: str) -> tuple[int, ...]:
        height, width = op.kernel
        output = model.operator(
            kind, [model.whole(op.inputs[0])], model.tensor(name, nhwc(op)), "Pool2DOptions",
            Padding=PADDING_VALID, StrideW=op.stride, StrideH=op.stride,
            FilterWidth=width, FilterHeight=height,
        )  # fmt: skip
        return (output,)

    return write


def _global_pool(model: TfliteModel, _: int, op: Op, name: str) -> tuple[int, ...]:
    both_sides = model.integers(1, 2)
    means = []
    for part, label in model.named_parts(op.inputs[0], name):
        output = model.tensor(label, (1, 1, 1, model.shape(part)[CHANNELS]))
        model.operator("MEAN", [part, both_sides], output, "ReducerOptions", KeepDims=True)
        means.append(output)
    return tuple(means)


def _concat(model: TfliteModel, _: int, op: Op, __: str) -> tuple[int, ...]:
    """No operator: readers concatenate the parts if they need to."""
    return tuple(part for source in op.inputs for part in model.parts[source])


def _slice(model: TfliteModel, _: int, op: Op, name: str) -> tuple[int, ...]:
    return (model.channels(model.whole(op.inputs[0]), 0, op.shape[0], name),)


def _add(model: TfliteModel, _: int, op: Op, name: str) -> tuple[int, ...]:
    inputs = [model.whole(source) for source in op.inputs]
    return (model.operator("ADD", inputs, model.tensor(name, nhwc(op)), "AddOptions"),)


def _mul(model: TfliteModel, _: int, op: Op, name: str) -> tuple[int, ...]:
    """Multiply each part of the features by its part of the gate."""
    features, gates = op.inputs
    gate = model.whole(gates)
    start, products = 0, []
    for part, label in model.named_parts(features, name):
        stop = start + model.shape(part)[CHANNELS]
        of_part = model.channels(gate, start, stop, f"{label}:gate")
        products.append(_gate(model, part, of_part, label))
        start = stop
    return tuple(products)


def _gate(model: TfliteModel, features: int, gate: int, name: str) -> int:
    """If the gate's map is smaller, each of its pixels gates a block of the features.

    With blocks as separate dimensions, this is a product with broadcasting, so the resized gate is
    never written to memory.
    """
    shape = model.shape(features)
    _, height, width, channels = shape
    _, small_h, small_w, _ = model.shape(gate)
    if (small_h, small_w) in ((height, width), (1, 1)):
        return model.operator("MUL", [features, gate], model.tensor(name, shape), "MulOptions")
    blocks = (small_h, height // small_h, small_w, width // small_w, channels)
    inputs = [
        model.reshape(features, f"{name}:blocks", blocks),
        model.reshape(gate, f"{name}:pixels", (small_h, 1, small_w, 1, channels)),
    ]
    product = model.tensor(f"{name}:product", blocks)
    model.operator("MUL", inputs, product, "MulOptions")
    return model.reshape(product, name, shape)


def _resize(model: TfliteModel, number: int, op: Op, name: str) -> tuple[int, ...]:
    (source,) = op.inputs
    _, small_h, small_w = model.ops[source].shape
    _, height, width = op.shape
    if op.mode == "bilinear":
        inputs = [model.whole(source), model.integers(height, width)]
        output = model.operator(
            "RESIZE_BILINEAR", inputs, model.tensor(name, nhwc(op)), "ResizeBilinearOptions",
            version=3, HalfPixelCenters=True,
        )  # fmt: skip
        return (output,)
    reader = model.only_reader(number)
    whole_factor = height % small_h == width % small_w == 0
    if whole_factor and reader is not None and reader.kind == "mul":
        # `_gate` repeats the pixels.
        return model.parts[source]
    return (_nearest(model, op, name),)


SMALL_MAP = 64
"""Largest map in pixels that is resized by one matrix product instead of two."""


def _nearest(model: TfliteModel, op: Op, name: str) -> int:
    """Nearest resize as a product with matrices of zeros and ones."""
    source = model.whole(op.inputs[0])
    _, small_h, small_w, channels = model.shape(source)
    _, height, width = op.shape
    rows = np.eye(small_h, dtype=np.float32)[nearest_sources(small_h, height)]
    columns = np.eye(small_w, dtype=np.float32)[nearest_sources(small_w, width)]
    if small_h * small_w <= SMALL_MAP:
        both = np.kron(rows, columns)
        pixels = model.reshape(source, f"{name}:pixels", (1, small_h * small_w, channels))
        return _multiply(model, both, pixels, name, nhwc(op))
    flat = model.reshape(source, f"{name}:flat", (1, small_h, small_w * channels))
    tall = _multiply(model, rows, flat, f"{name}:rows", (height, small_w, channels))
    return _multiply(model, columns, tall, name, nhwc(op))


def _multiply(
    model: TfliteModel, matrix: Array, source: int, name: str, shape: tuple[int, ...]
) -> int:
    """`matrix` (m, n) times `source` (batch, n, k), reshaped to `shape`."""
    batch, taken, rest = model.shape(source)
    made = len(matrix)
    if model.half:
        # XNNPACK has no product with a constant on the left at half precision.
        weights = [
            model.constant(f"{name}:pick", matrix),
            model.constant(f"{name}:zeros", np.zeros(made, np.float32)),
        ]
        last = _transpose(model, source, f"{name}:pixels_last", (batch, rest, taken))
        product = model.tensor(f"{name}:made_last", (batch, rest, made))
        options = {"version": 5, "KeepNumDims": True}
        inputs = [last, *weights]
        model.operator("FULLY_CONNECTED", inputs, product, "FullyConnectedOptions", **options)
        picked = _transpose(model, product, f"{name}:picked", (batch, made, rest))
    else:
        pick = model.constant(f"{name}:pick", matrix[np.newaxis])
        picked = model.tensor(f"{name}:picked", (batch, made, rest))
        model.operator("BATCH_MATMUL", [pick, source], picked, "BatchMatMulOptions")
    return model.reshape(picked, name, shape)


def _transpose(model: TfliteModel, source: int, name: str, shape: tuple[int, ...]) -> int:
    """Swap the last two of three axes."""
    inputs = [source, model.integers(0, 2, 1)]
    return model.operator("TRANSPOSE", inputs, model.tensor(name, shape), "TransposeOptions")


OPERATORS: dict[OpKind, Write] = {
    "conv": convolution,
    "linear": _linear,
    "relu": _relu,
    "hard_swish": _unary("HARD_SWISH", "HardSwishOptions"),
    "sigmoid": _unary("LOGISTIC"),
    "hard_sigmoid": _hard_sigmoid,
    "avg_pool": _pool("AVERAGE_POOL_2D"),
    "max_pool": _pool("MAX_POOL_2D"),
    "global_pool": _global_pool,
    "resize": _resize,
    "concat": _concat,
    "slice": _slice,
    "add": _add,
    "mul": _mul,
}


FORM = FileForm(channel_multiple=1, fuse_up_to=32, split_depthwise=True)
"""The form that LiteRT runs fastest. XNNPACK's kernels mask incomplete vectors, so padding would
only add work. Two vectors of AVX-512 hold a Ghost module that is fused. Concatenations are sunk in
any case: the parts of a map stay separate until something needs them together."""


def tflite_bytes(
    arch: Architecture,
    model: Any = None,
    *,
    form: FileForm = FileForm(),  # noqa: B008  frozen
    half: bool = False,
) -> bytes:
    """A TFLite file of `arch`: float32, batch norm folded, input "input" (1, height, width, 3),
    output "logits" (1, classes).

    A tensor has the name of its op, or of the activation fused into it, and for parts a suffix
    after ":". The metadata contains the architecture as JSON.

    Args:
        arch: the network.
        model: a torch module with the weights (`build_model(arch)`, trained or not). Without it,
            the file has weights made for timing.
        form: which passes rewrite the graph (default: as LiteRT runs it fastest). The outputs stay
            the same.
        half: whether XNNPACK will run it in half precision. The file is float32 in any case.

    Raises:
        CheckpointError: the module's weights do not fit `arch`.
    """
    metadata = {ARCHITECTURE_KEY: arch.to_json().encode()}
    return graph_bytes(lower(arch), weights_for(arch, model), form, metadata, half=half)


def graph_bytes(
    graph: Graph,
    weights: Weights,
    form: FileForm,
    metadata: Mapping[str, bytes] = MappingProxyType({}),
    *,
    half: bool = False,
) -> bytes:
    """A TFLite file of a graph, see `tflite_bytes`."""
    form = msgspec.structs.replace(form.over(FORM), sink_concats=None)
    graph, weights = rewrite_graph(graph, weights, form)
    file = TfliteModel(graph, weights, half=half)
    last = len(graph.ops) - 1
    file.parts[0] = (file.tensor(INPUT, nhwc(graph.ops[0])),)
    for number, op in enumerate(graph.ops[1:], start=1):
        name = OUTPUT if number == last else file.output_name(number)
        file.parts[number] = OPERATORS[op.kind](file, number, op, name)
    return serialize_tflite(
        file.tensors,
        file.operators,
        {INPUT: file.whole(0)},
        {OUTPUT: file.whole(last)},
        metadata,
    )
