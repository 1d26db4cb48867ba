"""`pte_bytes`: Graph → ExecuTorch program, all of it one XNNPACK delegate.

ExecuTorch's own way, `torch.export` and lowering, takes tens of seconds a network, and leaves
nearest resizes to its portable kernels, between which every map changes layout. The format is
`schema/program.fbs` of ExecuTorch (identifier ET12): one method "forward", one delegate call.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from gnv2_nas.arch import Architecture
from gnv2_nas.checkpoints.contents import ARCHITECTURE_KEY
from gnv2_nas.formats.executorch.xnnpack_graph import XnnpackGraph
from gnv2_nas.formats.executorch.xnnpack_operators import subgraph
from gnv2_nas.formats.flatbuffers import FlatTables, Slot, reference, root_table, u32
from gnv2_nas.graph.passes.pipeline import prepare_graph

IDENTIFIER = b"ET12"
ALIGNMENT = 128
"""Of the delegate's data, in bytes."""

_FLOAT32 = 6
_TENSOR = 5
_DELEGATE_CALL = 2
_SEGMENT = 1
_ACTIVATIONS = 1
"""Number of the buffer of planned memory; 0 is reserved."""
_DELEGATE = 1
"""Number of the segment."""
_SEGMENTS, _NAMED_DATA = 4, 7
"""Fields of a program."""
_HEADER = 32
_HEADER_SPACE = 64
"""A power of two, so that all that follows stays aligned."""
_BASE = slice(24, 32)
"""Where the header says where the segments begin."""


def pte_bytes(arch: Architecture, model: Any = None) -> bytes:
    """An ExecuTorch program of `arch`: float32, (1, 3, height, width) → (1, classes).

    Args:
        arch: the network.
        model: the torch module whose weights go in (`build_model(arch)`, trained or not); without
            one, weights made for timing.

    Raises:
        CheckpointError: the module's weights are not those of `arch`.
    """
    side = arch.resolution
    delegate = build_delegate(arch, model).parts()
    named = arch.to_json().encode().ljust(ALIGNMENT)
    named += bytes(-len(named) % ALIGNMENT)
    sizes = [len(named), sum(memoryview(part).nbytes for part in delegate)]
    program = _program((1, 3, side, side), (1, arch.num_classes), sizes)
    return b"".join([*_headed(program, sum(sizes)), named, *delegate])


def build_delegate(arch: Architecture, model: Any = None) -> XnnpackGraph:
    """All of the network, as `pte_bytes` hands it to XNNPACK."""
    return subgraph(*prepare_graph(arch, model, split=True))


def read_program_architecture(content: bytes) -> Architecture:
    """The network of a file that `pte_bytes` has written."""
    (entry,) = root_table(content).tables(_NAMED_DATA)
    segment = root_table(content).tables(_SEGMENTS)[entry.integer(1)]
    start = int.from_bytes(content[_BASE], "little") + segment.integer(0, 64)
    text = content[start : start + segment.integer(1, 64)]
    return Architecture.from_json(text.rstrip(b"\0 ").decode())


def _headed(program: bytes, size: int) -> Iterator[bytes]:
    """The flatbuffer with ExecuTorch's header in it, up to where `size` bytes of segments begin."""
    end = len(program) + _HEADER_SPACE
    base = end + -end % ALIGNMENT
    yield (int.from_bytes(program[:4], "little") + _HEADER_SPACE).to_bytes(4, "little")
    header = [b"eh00", _HEADER.to_bytes(4, "little")]
    header += [number.to_bytes(8, "little") for number in (end, base, size)]
    yield IDENTIFIER + b"".join(header).ljust(_HEADER_SPACE, b"\0")
    yield program[8:] + bytes(base - end)


def _program(image: tuple[int, ...], logits: tuple[int, ...], sizes: Sequence[int]) -> bytes:
    """Its segments: the architecture's JSON, what the delegate reads, and no constants."""
    write = FlatTables()
    plan = _plan(write, image, logits)
    segments = [
        write.table(Slot("Uint64", sum(sizes[:number])), Slot("Uint64", size))
        for number, size in enumerate([*sizes, 0])
    ]
    # Constants of the program, not of the delegate: only the one that means "none".
    constants = write.table(u32(len(sizes)), write.vector("Uint64", [0]))
    named = write.table(write.string(ARCHITECTURE_KEY), u32(0))
    none = write.tables([])
    root = write.table(
        None, write.tables([plan]), none, none, write.tables(segments), reference(constants),
        none, write.tables([named]),
    )  # fmt: skip
    return write.finished(root, IDENTIFIER)


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
    """How Python's arguments and results nest: none of it is used when values are given flat."""
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
