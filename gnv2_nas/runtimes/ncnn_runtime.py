"""ncnn, the runtime of many phone applications, on the processor."""

from __future__ import annotations

import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import ncnn
import numpy as np
from numpy.typing import NDArray

from gnv2_nas.arch import Architecture
from gnv2_nas.errors import MeasurementError
from gnv2_nas.formats import INPUT, OUTPUT
from gnv2_nas.formats.ncnn.param import NcnnLayer, check_weights, read_param
from gnv2_nas.formats.ncnn.writer import ncnn_files
from gnv2_nas.runtimes.base import LAYOUT_CHANGES, BaseRuntime, Precision, RuntimeFiles, RuntimeName
from gnv2_nas.runtimes.parity import timing_image

_AS_COMPUTED = 1
"""Type of extraction that keeps a blob in the layout and precision that it was computed in."""


class NcnnSession:
    """A loaded network with its input in place."""

    def __init__(self, files: RuntimeFiles, precision: Precision, threads: int) -> None:
        self.layers = _check_layers(files)
        self._net = _load_net(files, precision, threads)
        self.image = timing_image(int(self.layers[0].settings[0]))  # type: ignore[arg-type]
        # A Mat made from an array does not keep it alive.
        self._blob = ncnn.Mat(self.image[0]).clone()

    def extractor(self) -> Any:
        """Return an extractor, which computes each blob once, on demand."""
        extractor = self._net.create_extractor()
        extractor.input(INPUT, self._blob)
        return extractor

    def run(self) -> Any:
        """Run one inference; return the error code and the logits."""
        return self.extractor().extract(OUTPUT)

    def logits(self) -> NDArray[np.float32]:
        _, blob = self.run()
        return np.array(blob, np.float32).reshape(1, -1)


class Ncnn(BaseRuntime):
    """ncnn with its default settings, except for the precision."""

    name: RuntimeName = "ncnn"
    label = "ncnn"
    release = ncnn.__version__

    def write(self, arch: Architecture, model: Any = None) -> RuntimeFiles:
        return ncnn_files(arch, model)

    def load(self, files: RuntimeFiles, threads: int) -> NcnnSession:
        return NcnnSession(files, self.precision, threads)

    def layer_seconds(self, files: RuntimeFiles, threads: int, runs: int) -> dict[str, float]:
        """Time layers by extracting their outputs in turn, because ncnn's wheel has no profiler."""
        session = self.load(files, threads)
        session.run()
        total: defaultdict[str, float] = defaultdict(float)
        # Blobs from another allocator than the network's own are returned without a copy.
        allocators = ncnn.UnlockedPoolAllocator(), ncnn.UnlockedPoolAllocator()
        for _ in range(runs):
            _add_layer_times(total, session, allocators)
        return {name: seconds / runs for name, seconds in total.items()}


def _add_layer_times(
    total: dict[str, float], session: NcnnSession, allocators: Sequence[Any]
) -> None:
    extractor = session.extractor()
    extractor.set_blob_allocator(allocators[0])
    extractor.set_workspace_allocator(allocators[1])
    for layer in session.layers:
        name = LAYOUT_CHANGES if layer.kind == "Split" else layer.name
        computing = _extraction_seconds(extractor, layer)
        # A second extraction computes nothing: it gives the overhead of extracting.
        total[name] += max(0.0, computing - _extraction_seconds(extractor, layer))


def _extraction_seconds(extractor: Any, layer: NcnnLayer) -> float:
    """Return the seconds that extracting a layer's output takes."""
    started = time.perf_counter()
    extractor.extract(layer.outputs[0], _AS_COMPUTED)
    return time.perf_counter() - started


def _check_layers(files: RuntimeFiles) -> list[NcnnLayer]:
    """Read and check the layers of the file.

    ncnn accepts some weights that do not fit, and crashes on a network that it loaded partially.
    """
    try:
        layers = read_param(files[".param"].decode())
        check_weights(layers, files[".bin"])
    except ValueError as error:
        raise MeasurementError(f"ncnn cannot load the file: {error}") from None
    return layers


def _load_net(files: RuntimeFiles, precision: Precision, threads: int) -> Any:
    net = ncnn.Net()
    net.opt.num_threads = threads
    half = precision == "fp16"
    net.opt.use_fp16_packed = net.opt.use_fp16_storage = net.opt.use_fp16_arithmetic = half
    net.opt.use_bf16_packed = net.opt.use_bf16_storage = precision == "bf16"
    with tempfile.TemporaryDirectory() as folder:
        # Loaded from memory, ncnn would refer to the caller's weights for an unknown time.
        paths = {suffix: Path(folder) / f"network{suffix}" for suffix in (".param", ".bin")}
        for suffix, path in paths.items():
            path.write_bytes(files[suffix])
        if net.load_param(str(paths[".param"])) or net.load_model(str(paths[".bin"])):
            raise MeasurementError("ncnn refused the file")
    return net
