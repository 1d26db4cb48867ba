"""`ncnn_files`: Architecture → ncnn's `.param` and `.bin`, with one table from op kind to layers.

An activation is part of the convolution before it. After a global pooling maps are vectors, and a
1x1 convolution becomes an inner product.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from gnv2_nas.arch import Architecture
from gnv2_nas.formats import OUTPUT
from gnv2_nas.formats.ncnn.param import FLOAT32_TAG, NcnnLayer, Setting, param_text
from gnv2_nas.graph.lower import lower
from gnv2_nas.graph.op import Graph, Op, OpKind
from gnv2_nas.graph.passes.channels import split_depthwise
from gnv2_nas.graph.passes.form import FileForm
from gnv2_nas.graph.passes.pipeline import arrange_channels, fuse_at
from gnv2_nas.graph.weights import Weights, weights_for

BLOCKS = (16, 8, 4, 1)
"""Block sizes of channels. ncnn uses the largest that divides their number (x86; 16 needs
AVX-512)."""
FORM = FileForm(channel_multiple=8, split_depthwise=False, sink_concats=False)
"""The form that ncnn runs fastest. `_slow_concats` decides which Ghost modules are fused."""
PARTS = 2
"""Parts of a Ghost module whose cheap convolution is not split."""
MAX_PRIMARY_INPUTS = 40
"""Most input channels of a primary convolution that is worth computing twice, see
`_slow_concats`."""

# Op kind → ncnn's activation type and its parameters.
_ACTIVATIONS: dict[str, dict[int, Setting]] = {
    "relu": {9: 1},
    "sigmoid": {9: 4},
    "hard_swish": {9: 6, 10: (1 / 6, 0.5)},
}
_ADD, _MULTIPLY = 0, 2
_NEAREST, _BILINEAR = 1, 2
_MAXIMUM, _AVERAGE = 0, 1
_VALID = 1
"""Padding mode of a pooling that drops an incomplete window."""


class _Writer:
    """Layers and weights under construction. Each reader of a blob gets a name of its own."""

    def __init__(self, graph: Graph, weights: Weights) -> None:
        self.ops, self.weights = graph.ops, weights
        self.layers: list[NcnnLayer] = []
        self.data: list[Any] = []
        self.readers = graph.readers()
        self.flat: set[int] = set()
        """Numbers of the ops whose output is a vector."""
        self._blobs: dict[int, list[str]] = {}

    def fused_activation(self, number: int) -> int | None:
        """Number of the activation that convolution `number` includes."""
        if len(self.readers[number]) != 1:
            return None
        (reader,) = self.readers[number]
        return reader if self.ops[reader].kind in _ACTIVATIONS else None

    def layer(self, kind: str, number: int, settings: dict[int, Setting]) -> None:
        """Append a layer for op `number`, and a Split if several ops read its output."""
        op = self.ops[number]
        inputs = tuple(self._blobs[source].pop() for source in op.inputs)
        given = number
        if op.kind == "conv":
            given = self.fused_activation(number) or number
        name = OUTPUT if given == len(self.ops) - 1 else op.name
        self.layers.append(NcnnLayer(kind, op.name, inputs, (name,), settings))
        readers = len(self.readers[given])
        self._blobs[given] = [name]
        if readers > 1:
            copies = tuple(f"{name}.{copy}" for copy in range(readers))
            self.layers.append(NcnnLayer("Split", f"{name}.split", (name,), copies))
            self._blobs[given] = list(reversed(copies))
        if op.kind in ("global_pool", "linear") or self.flat.intersection(op.inputs[:1]):
            self.flat.update((number, given))

    def weight(self, op: Op) -> int:
        """Append an op's weights; return the size of its kernel."""
        kernel, bias = self.weights.fold(op)
        self.data += [FLOAT32_TAG, kernel, bias]
        return int(kernel.size)


def _conv(writer: _Writer, number: int, op: Op) -> None:
    activation = writer.fused_activation(number)
    fused = {} if activation is None else _ACTIVATIONS[writer.ops[activation].kind]
    size = writer.weight(op)
    if op.inputs[0] in writer.flat:
        writer.layer("InnerProduct", number, {0: op.shape[0], 1: 1, 2: size, **fused})
        return
    height, width = op.kernel
    settings: dict[int, Setting] = {
        0: op.shape[0], 1: width, 11: height, 3: op.stride, 4: width // 2, 14: height // 2, 5: 1,
        6: size,
    }  # fmt: skip
    if op.groups == 1:
        writer.layer("Convolution", number, settings | fused)
    else:
        writer.layer("ConvolutionDepthWise", number, settings | {7: op.groups} | fused)


def _linear(writer: _Writer, number: int, op: Op) -> None:
    writer.layer("InnerProduct", number, {0: op.shape[0], 1: 1, 2: writer.weight(op)})


def _activation(kind: str, settings: dict[int, Setting]) -> Callable[[_Writer, int, Op], None]:
    def write(writer: _Writer, number: int, op: Op) -> None:
        (source,) = op.inputs
        if writer.ops[source].kind != "conv" or writer.fused_activation(source) is None:
            writer.layer(kind, number, settings)

    return write


def _plain(kind: str, settings: dict[int, Setting]) -> Callable[[_Writer, int, Op], None]:
    def write(writer: _Writer, number: int, _: Op) -> None:
        writer.layer(kind, number, settings)

    return write


def _pool(mode: int) -> Callable[[_Writer, int, Op], None]:
    def write(writer: _Writer, number: int, op: Op) -> None:
        writer.layer("Pooling", number, {0: mode, 1: op.kernel[0], 2: op.stride, 5: _VALID})

    return write


def _resize(writer: _Writer, number: int, op: Op) -> None:
    """ncnn rounds as torch does. Its bilinear resize needs two pixels per row, so resizing a
    single pixel is written as nearest."""
    _, height, width = op.shape
    single = writer.ops[op.inputs[0]].shape[1:] == (1, 1)
    mode = _BILINEAR if op.mode == "bilinear" and not single else _NEAREST
    writer.layer("Interp", number, {0: mode, 3: height, 4: width})


def _slice(writer: _Writer, number: int, op: Op) -> None:
    writer.layer("Crop", number, {9: (0,), 10: (op.shape[0],), 11: (0,)})


_LAYERS: dict[OpKind, Callable[[_Writer, int, Op], None]] = {
    "conv": _conv,
    "linear": _linear,
    "relu": _activation("ReLU", {}),
    "hard_swish": _activation("HardSwish", {0: 1 / 6, 1: 0.5}),
    "sigmoid": _activation("Sigmoid", {}),
    "hard_sigmoid": _plain("HardSigmoid", {0: 1 / 6, 1: 0.5}),
    "avg_pool": _pool(_AVERAGE),
    "max_pool": _pool(_MAXIMUM),
    "global_pool": _plain("Pooling", {0: _AVERAGE, 4: 1}),
    "resize": _resize,
    "concat": _plain("Concat", {0: 0}),
    "slice": _slice,
    "add": _plain("BinaryOp", {0: _ADD}),
    "mul": _plain("BinaryOp", {0: _MULTIPLY}),
}


def _slow_concats(graph: Graph, fuse_up_to: int | None) -> Iterator[int]:
    """Ghost modules that are faster without their concatenation, see `fuse_ghost_modules`.

    If the cheap convolution has several outputs per input channel, ncnn computes it channel by
    channel, and at bf16 wrongly. Otherwise the concatenation is slow if it changes the block size;
    fusing then pays if the primary convolution is small, or up to the channels that are asked for.
    """
    for number, op in enumerate(graph.ops):
        if op.kind == "concat" and len(op.inputs) == PARTS:
            primary, cheap = (_convolution(graph, source) for source in op.inputs)
            small = primary.in_channels <= MAX_PRIMARY_INPUTS
            pays = small and _block(primary.shape[0]) < _block(op.shape[0])
            if fuse_up_to is not None:
                pays = op.shape[0] <= fuse_up_to
            if pays or cheap.shape[0] > primary.shape[0]:
                yield number


def _convolution(graph: Graph, number: int) -> Op:
    """Op `number`, or the convolution whose activation it is."""
    op = graph.ops[number]
    return op if op.kind == "conv" else _convolution(graph, op.inputs[0])


def _block(channels: int) -> int:
    return next(block for block in BLOCKS if channels % block == 0)


def ncnn_files(
    arch: Architecture,
    model: Any = None,
    *,
    form: FileForm = FileForm(),  # noqa: B008  frozen
) -> dict[str, bytes]:
    """{".param": …, ".bin": …} of `arch`: float32, input "input", output "logits", batch norm
    folded. Layers have the names of the graph's ops.

    Args:
        arch: the network.
        model: a torch module with the weights (`build_model(arch)`, trained or not). Without it,
            the file has weights made for timing.
        form: which passes rewrite the graph (default: as ncnn runs it fastest). The outputs stay
            the same.

    Raises:
        CheckpointError: the module's weights do not fit `arch`.
    """
    return graph_files(lower(arch), weights_for(arch, model), form)


def graph_files(graph: Graph, weights: Weights, form: FileForm) -> dict[str, bytes]:
    """The ncnn files of a graph; its ops are rewritten as `ncnn_files` says."""
    form = form.over(FORM)
    if form.split_depthwise:
        graph, weights = split_depthwise(graph, weights)
    graph, weights = fuse_at(graph, weights, list(_slow_concats(graph, form.fuse_up_to)))
    return write_graph(*arrange_channels(graph, weights, form))


def write_graph(graph: Graph, weights: Weights) -> dict[str, bytes]:
    """The ncnn files of exactly these ops."""
    writer = _Writer(graph, weights)
    channels, height, width = graph.ops[0].shape
    writer.layer("Input", 0, {0: width, 1: height, 2: channels})
    for number, op in enumerate(writer.ops[1:], start=1):
        _LAYERS[op.kind](writer, number, op)
    return {".param": param_text(writer.layers).encode(), ".bin": b"".join(writer.data)}
