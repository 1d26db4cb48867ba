"""ncnn, the runtime of many phone applications, on the processor."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from gnv2_nas.arch import Architecture
from gnv2_nas.errors import MeasurementError
from gnv2_nas.formats.ncnn.param import NcnnLayer, check_weights, read_param
from gnv2_nas.formats.ncnn.writer import FORM, ncnn_files
from gnv2_nas.runner.timing import RuntimeFiles, Session
from gnv2_nas.runtimes.base import LAYOUT_CHANGES, BaseRuntime, RuntimeName

if TYPE_CHECKING:
    from gnv2_nas.runner.ncnn_session import NcnnSession

_AS_COMPUTED = 1
"""Type of extraction that keeps a blob in the layout and precision that it was computed in."""


class Ncnn(BaseRuntime):
    """ncnn with its default settings, except for the precision."""

    name: RuntimeName = "ncnn"
    label = "ncnn"
    built_in_form = FORM

    def write(self, arch: Architecture, model: Any = None) -> RuntimeFiles:
        return ncnn_files(arch, model, form=self.form)

    def load(self, files: RuntimeFiles, threads: int) -> Session:
        _check_layers(files)
        return super().load(files, threads)

    def layer_seconds(self, files: RuntimeFiles, threads: int, runs: int) -> dict[str, float]:
        """Time layers by extracting their outputs in turn, because ncnn's wheel has no profiler."""
        import ncnn

        from gnv2_nas.runner.ncnn_session import NcnnSession

        layers = _check_layers(files)
        session = NcnnSession(files, self.precision, threads)
        session.run()
        total: defaultdict[str, float] = defaultdict(float)
        # Blobs from another allocator than the network's own are returned without a copy.
        allocators = ncnn.UnlockedPoolAllocator(), ncnn.UnlockedPoolAllocator()
        for _ in range(runs):
            _add_layer_times(total, session, layers, allocators)
        return {name: seconds / runs for name, seconds in total.items()}


def _add_layer_times(
    total: dict[str, float],
    session: NcnnSession,
    layers: Sequence[NcnnLayer],
    allocators: Sequence[Any],
) -> None:
    extractor = session.extractor()
    extractor.set_blob_allocator(allocators[0])
    extractor.set_workspace_allocator(allocators[1])
    for layer in layers:
        name = LAYOUT_CHANGES if layer.kind == "Split" else layer.name.partition(":")[0]
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
