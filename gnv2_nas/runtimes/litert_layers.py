"""Times of layers in LiteRT, from its own profiler, attributed to the operators of the graph.

The profiler is called through LiteRT's C API, which is not stable. `LiteRt` therefore uses it only
in the versions that it was tested with.
"""

from __future__ import annotations

import ctypes
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from ctypes import byref, c_char_p, c_int, c_size_t, c_uint64, c_void_p
from pathlib import Path

import ai_edge_litert
import numpy as np
import tflite
from numpy.typing import NDArray

from gnv2_nas.errors import MeasurementError
from gnv2_nas.formats import OUTPUT
from gnv2_nas.runtimes.base import LAYOUT_CHANGES

Event = tuple[str, float]
"""Name of an operator of XNNPACK or TFLite, and its seconds."""

_ON_THE_CPU = 1
_TO_WRITE = 1
_ALIGNMENT = 64
"""Alignment of a model in memory, in bytes."""
_INVOKE = "Invoke"
_BY_TFLITE, _BY_XNNPACK = 1 << 1, 1 << 3
"""Types of events: an operator of TFLite, and one of a delegate."""


class _Event(ctypes.Structure):
    """`ProfiledEventData` of litert_profiler_event.h."""

    _fields_ = (
        ("tag", c_char_p),
        ("type", c_int),
        ("start_us", c_uint64),
        ("elapsed_us", c_uint64),
        ("memory", c_uint64 * 6),
        ("metadata", c_uint64 * 2),
        ("source", c_int),
    )


_Free = ctypes.CFUNCTYPE(None, c_void_p)


class LiteRtProfiler:
    """A context manager with a model that is compiled for profiling."""

    def __init__(
        self, content: bytes, image: NDArray[np.float32], threads: int, flags: int
    ) -> None:
        """Compile `content`, a TFLite file, for `image`, (1, height, width, 3).

        Args:
            flags: flags of XNNPACK's delegate.

        Raises:
            MeasurementError: LiteRT refused the model or a call.
        """
        self._library = ctypes.CDLL(str(Path(ai_edge_litert.__file__).with_name("libLiteRt.so")))
        self._kept: list[object] = []
        with ExitStack() as stack:
            self._stack = stack
            self._open(content, image, threads, flags)
            self._stack = stack.pop_all()

    def __enter__(self) -> LiteRtProfiler:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def run(self) -> tuple[list[Event], float]:
        """Run one inference; return its operators in order and its seconds."""
        self._call("LiteRtResetProfiler", self._profiler)
        self._call("LiteRtStartProfiler", self._profiler)
        self._invoke()
        self._call("LiteRtStopProfiler", self._profiler)
        count = c_int()
        self._call("LiteRtGetNumProfilerEvents", self._profiler, byref(count))
        events = (_Event * count.value)()
        self._call("LiteRtGetProfilerEvents", self._profiler, count, events)
        seconds = [(event.tag.decode(), event.type, event.elapsed_us * 1e-6) for event in events]
        operators = [
            (tag, time) for tag, kind, time in seconds if kind in (_BY_TFLITE, _BY_XNNPACK)
        ]
        whole = next(time for tag, kind, time in seconds if tag == _INVOKE)
        return operators, whole

    def _open(self, content: bytes, image: NDArray[np.float32], threads: int, flags: int) -> None:
        environment = self._new("Environment", 0, None)
        model = self._new("Model", environment, *self._aligned(content), create="ModelFromBuffer")
        options = self._new("Options")
        self._call("LiteRtSetOptionsHardwareAccelerators", options, _ON_THE_CPU)
        self._add(options, b"runtime_options_string", b"enable_profiling = true\n")
        self._add(options, b"xnnpack", b"num_threads = %d\nflags = %d\n" % (threads, flags))
        self._compiled = self._new("CompiledModel", environment, model, options)
        graph = c_void_p()
        self._call("LiteRtGetModelSubgraph", model, c_size_t(0), byref(graph))
        self._input = self._buffer(environment, graph, "Input")
        self._output = self._buffer(environment, graph, "Output")
        address = c_void_p()
        self._call("LiteRtLockTensorBuffer", self._input, byref(address), _TO_WRITE)
        nhwc = np.ascontiguousarray(image)
        ctypes.memmove(address, nhwc.ctypes.data, nhwc.nbytes)
        self._call("LiteRtUnlockTensorBuffer", self._input)
        self._profiler = c_void_p()
        self._call("LiteRtCompiledModelGetProfiler", self._compiled, byref(self._profiler))

    def _invoke(self) -> None:
        self._call(
            "LiteRtRunCompiledModel", self._compiled, c_size_t(0),
            c_size_t(1), byref(self._input), c_size_t(1), byref(self._output),
        )  # fmt: skip

    def _buffer(self, environment: c_void_p, graph: c_void_p, side: str) -> c_void_p:
        """Return a buffer for the model's only input or output."""
        tensor, requirements = c_void_p(), c_void_p()
        tensor_type = ctypes.create_string_buffer(512)
        first = c_size_t(0)
        self._call(f"LiteRtGetSubgraph{side}", graph, first, byref(tensor))
        self._call("LiteRtGetRankedTensorType", tensor, tensor_type)
        get = f"LiteRtGetCompiledModel{side}BufferRequirements"
        self._call(get, self._compiled, first, first, byref(requirements))
        create = "ManagedTensorBufferFromRequirements"
        return self._new("TensorBuffer", environment, tensor_type, requirements, create=create)

    def _add(self, options: c_void_p, kind: bytes, content: bytes) -> None:
        """Add the options of one component as text; `options` then owns them."""
        text, free = ctypes.create_string_buffer(content), _Free(lambda _: None)
        self._kept += [text, free]
        opaque = c_void_p()
        self._call("LiteRtCreateOpaqueOptions", kind, text, free, byref(opaque))
        self._call("LiteRtAddOpaqueOptions", options, opaque)

    def _aligned(self, content: bytes) -> tuple[c_void_p, c_size_t]:
        """Return address and size of a copy with LiteRT's alignment."""
        memory = ctypes.create_string_buffer(len(content) + _ALIGNMENT)
        self._kept.append(memory)
        address = -(-ctypes.addressof(memory) // _ALIGNMENT) * _ALIGNMENT
        ctypes.memmove(address, content, len(content))
        return c_void_p(address), c_size_t(len(content))

    def _new(self, kind: str, *arguments: object, create: str = "") -> c_void_p:
        """Create an object of LiteRT that is destroyed when the profiler is closed."""
        handle = c_void_p()
        self._call(f"LiteRtCreate{create or kind}", *arguments, byref(handle))
        self._stack.callback(self._library[f"LiteRtDestroy{kind}"], handle)
        return handle

    def _call(self, name: str, *arguments: object) -> None:
        try:
            status = self._library[name](*arguments)
        except AttributeError:
            status = "the function is not there"
        if status:
            raise MeasurementError(f"LiteRT cannot tell the time of layers: {name}: {status}")


_CONVOLUTION = ("Convolution (NHWC", "Fully Connected")
_TAGS: dict[str, tuple[str, ...]] = {
    "CONV_2D": _CONVOLUTION,
    "DEPTHWISE_CONV_2D": _CONVOLUTION,
    "FULLY_CONNECTED": ("Fully Connected",),
    "ADD": ("Add",),
    "MUL": ("Multiply",),
    "CONCATENATION": ("Copy", "Concatenate"),
    "RESHAPE": ("Static Reshape",),
    "SLICE": ("Slice",),
    "PAD": ("Constant Pad",),
    "MEAN": ("Mean",),
    "AVERAGE_POOL_2D": ("Average Pooling",),
    "MAX_POOL_2D": ("Max Pooling",),
    "LOGISTIC": ("Sigmoid",),
    "HARD_SWISH": ("HardSwish",),
    "RESIZE_BILINEAR": ("Resize Bilinear",),
    "TRANSPOSE": ("Transpose",),
    "BATCH_MATMUL": ("Batch Matrix Multiply",),
}
"""Operator in the file → prefixes of XNNPACK's names for it."""
_VANISHING = frozenset({"PAD"})
"""Operators that XNNPACK may fuse into the next one."""
_CONVERSION = "Convert"
"""Prefix of conversions to half precision and back."""


def litert_layer_seconds(
    content: bytes, image: NDArray[np.float32], threads: int, runs: int, flags: int
) -> dict[str, float]:
    """Return op name → mean seconds in an inference.

    The time between operators is added up under `LAYOUT_CHANGES`.

    Args:
        content: a TFLite file from `tflite_bytes`.
        image: (1, 3, height, width).
        threads: number of threads.
        runs: number of inferences.
        flags: flags of XNNPACK's delegate.

    Raises:
        MeasurementError: the profile does not match the file.
    """
    operators = list(_operators(content))
    total: defaultdict[str, float] = defaultdict(float)
    with LiteRtProfiler(content, image.transpose(0, 2, 3, 1), threads, flags) as profiler:
        profiler.run()
        for _ in range(runs):
            events, whole = profiler.run()
            for name, seconds in _attribute(events, operators):
                total[name] += seconds
            total[LAYOUT_CHANGES] += max(whole - sum(seconds for _, seconds in events), 0.0)
    return {name: seconds / runs for name, seconds in total.items()}


def _operators(content: bytes) -> Iterator[tuple[str, str]]:
    """Yield the kind of each operator in the file and the name of its op in the graph."""
    model = tflite.Model.GetRootAs(content)
    graph = model.Subgraphs(0)
    codes = [model.OperatorCodes(i).BuiltinCode() for i in range(model.OperatorCodesLength())]
    for index in range(graph.OperatorsLength()):
        operator = graph.Operators(index)
        kind = tflite.opcode2name(codes[operator.OpcodeIndex()])
        name = graph.Tensors(operator.Outputs(0)).Name().decode()
        if name == OUTPUT:
            # Tensors of weights have the name of the op.
            weight = graph.Tensors(operator.Inputs(1)).Name().decode()
            name = weight.removesuffix(".weight")
        yield kind, name.partition(":")[0]


def _attribute(
    events: Sequence[Event], operators: Sequence[tuple[str, str]]
) -> Iterator[tuple[str, float]]:
    """Yield the op name and the seconds of each event.

    XNNPACK keeps the order of the file. An operator that it inserts, such as a reshape before a
    fully connected layer, is attributed to the operator before it.
    """
    position, name = 0, operators[0][1]
    for tag, seconds in events:
        following = position
        while following < len(operators) and operators[following][0] in _VANISHING:
            if tag.startswith(_TAGS[operators[following][0]]):
                break
            following += 1
        if following < len(operators) and tag.startswith(_TAGS[operators[following][0]]):
            name = operators[following][1]
            position = following + 1
        yield (LAYOUT_CHANGES if tag.startswith(_CONVERSION) else name), seconds
    if position < len(operators):
        kind, name = operators[position]
        raise MeasurementError(
            f"LiteRT cannot tell the time of layers: no time was given for {kind} {name!r}"
        )
