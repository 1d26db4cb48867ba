"""`pte_bytes`: Architecture → ExecuTorch program with the whole network in one XNNPACK delegate.

ExecuTorch's `torch.export` and lowering take tens of seconds per network. They also leave nearest
resizes to portable kernels, which need another memory format. The format here is ExecuTorch's
`schema/program.fbs` (identifier ET12) with one method "forward" and one delegate call.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from gnv2_nas.arch import Architecture
from gnv2_nas.checkpoints.contents import ARCHITECTURE_KEY
from gnv2_nas.formats.executorch.xnnpack_graph import XnnpackGraph
from gnv2_nas.formats.executorch.xnnpack_operators import subgraph
from gnv2_nas.formats.flatbuffers import FlatTables, Slot, reference, root_table, u32
from gnv2_nas.graph.lower import lower
from gnv2_nas.graph.op import Graph
from gnv2_nas.graph.passes.form import FileForm
from gnv2_nas.graph.passes.pipeline import rewrite_graph
from gnv2_nas.graph.weights import Weights, weights_for

FORM = FileForm(channel_multiple=1, fuse_up_to=0, split_depthwise=True, sink_concats=False)
"""The form that ExecuTorch runs fastest."""
IDENTIFIER = b"ET12"
ALIGNMENT = 128
"""Alignment of the delegate's data in bytes."""

_FLOAT32 = 6
_TENSOR = 5
_DELEGATE_CALL = 2
_SEGMENT = 1
_ACTIVATIONS = 1
"""Number of the memory buffer; 0 is reserved."""
_DELEGATE = 1
"""Number of the delegate's segment."""
_SEGMENTS, _NAMED_DATA = 4, 7
"""Field numbers of a program."""
_HEADER = 32
_HEADER_SPACE = 64
"""A power of two keeps what follows aligned."""
_BASE = slice(24, 32)
"""Position of the segments' start in the file."""


def pte_bytes(
    arch: Architecture,
    model: Any = None,
    *,
    form: FileForm = FileForm(),  # noqa: B008  frozen
) -> bytes:
    """An ExecuTorch program of `arch`: float32, (1, 3, height, width) → (1, classes).

    Args:
        arch: the network.
        model: a torch module with the weights (`build_model(arch)`, trained or not). Without it,
            the file has weights made for timing.
        form: which passes rewrite the graph (default: as ExecuTorch runs it fastest). The outputs
            stay the same.

    Raises:
        CheckpointError: the module's weights do not fit `arch`.
    """
    return graph_bytes(lower(arch), weights_for(arch, model), form, arch.to_json())


def graph_bytes(graph: Graph, weights: Weights, form: FileForm, metadata: str = "") -> bytes:
    """An ExecuTorch program of a graph that ends with a linear layer, see `pte_bytes`."""
    delegate = build_delegate(graph, weights, form).parts()
    named = metadata.encode().ljust(ALIGNMENT)
    named += bytes(-len(named) % ALIGNMENT)
    sizes = [len(named), sum(memoryview(part).nbytes for part in delegate)]
    program = _program((1, *graph.ops[0].shape), (1, graph.output.shape[0]), sizes)
    return b"".join([*_add_header(program, sum(sizes)), named, *delegate])


def build_delegate(graph: Graph, weights: Weights, form: FileForm) -> XnnpackGraph:
    """A graph as `graph_bytes` passes it to XNNPACK."""
    return subgraph(*rewrite_graph(graph, weights, form.over(FORM)))


def read_program_architecture(content: bytes) -> Architecture:
    """The architecture in a file that `pte_bytes` wrote."""
    (entry,) = root_table(content).tables(_NAMED_DATA)
    segment = root_table(content).tables(_SEGMENTS)[entry.integer(1)]
    start = int.from_bytes(content[_BASE], "little") + segment.integer(0, 64)
    text = content[start : start + segment.integer(1, 64)]
    return Architecture.from_json(text.rstrip(b"\0 ").decode())


def _add_header(program: bytes, size: int) -> Iterator[bytes]:
    """The flatbuffer with ExecuTorch's header, padded to where `size` bytes of segments start."""
    end = len(program) + _HEADER_SPACE
    base = end + -end % ALIGNMENT
    yield (int.from_bytes(program[:4], "little") + _HEADER_SPACE).to_bytes(4, "little")
    header = [b"eh00", _HEADER.to_bytes(4, "little")]
    header += [number.to_bytes(8, "little") for number in (end, base, size)]
    yield IDENTIFIER + b"".join(header).ljust(_HEADER_SPACE, b"\0")
    yield program[8:] + bytes(base - end)


def _program(image: tuple[int, ...], logits: tuple[int, ...], sizes: Sequence[int]) -> bytes:
    """A program with the segments metadata and delegate data, and no constants."""
    write = FlatTables()
    plan = _plan(write, image, logits)
    segments = [
        write.table(Slot("Uint64", sum(sizes[:number])), Slot("Uint64", size))
        for number, size in enumerate([*sizes, 0])
    ]
    # The program itself has no constants; entry 0 means "none".
    constants = write.table(u32(len(sizes)), write.vector("Uint64", [0]))
    named = write.table(write.string(ARCHITECTURE_KEY), u32(0))
    none = write.tables([])
    root = write.table(
        None, write.tables([plan]), none, none, write.tables(segments), reference(constants),
        none, write.tables([named]),
    )  # fmt: skip
    return write.finish(root, IDENTIFIER)


def _plan(write: FlatTables, image: tuple[int, ...], logits: tuple[int, ...]) -> int:
    """The method "forward": value 0 is the image, value 1 the logits."""
    image_bytes, logits_bytes = (_bytes(shape) for shape in (image, logits))
    values = [_tensor(write, image, 0), _tensor(write, logits, image_bytes)]
    one_value = write.table(Slot("Int32", 0), write.vector("Int32", [0, 1]))
    call = write.table(Slot("Uint8", _DELEGATE_CALL), reference(one_value))
    inputs, outputs = write.vector("Int32", [0]), write.vector("Int32", [1])
    chain = write.table(inputs, outputs, write.tables([call]))
    data = write.table(Slot("Uint8", _SEGMENT), u32(_DELEGATE))
    delegate = write.table(write.string("XnnpackBackend"), reference(data), write.tables([]))
    return write.table(
        write.string("forward"), _containers(write), write.tables(values), inputs, outputs,
        write.tables([chain]), write.tables([]), write.tables([delegate]),
        write.vector("Uint64", [0, image_bytes + logits_bytes]),
    )  # fmt: skip


def _containers(write: FlatTables) -> Slot:
    """Nesting of Python's arguments and results; unused, because ours are flat."""
    return reference(write.table(write.string(""), write.string("")))


def _tensor(write: FlatTables, shape: tuple[int, ...], offset: int) -> int:
    sizes = write.vector("Int32", shape)
    order = write.vector("Uint8", range(len(shape)))
    place = write.table(u32(_ACTIVATIONS), u32(offset))
    tensor = write.table(Slot("Uint8", _FLOAT32), None, sizes, order, None, None, reference(place))
    return write.table(Slot("Uint8", _TENSOR), reference(tensor))


def _bytes(shape: tuple[int, ...]) -> int:
    size = 4
    for side in shape:
        size *= side
    return size + -size % ALIGNMENT
