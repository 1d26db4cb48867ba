"""Sessions of ncnn."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ncnn
import numpy as np

from gnv2_nas.errors import MeasurementError
from gnv2_nas.runner.timing import RuntimeFiles, timing_image

if TYPE_CHECKING:
    from numpy.typing import NDArray

INPUT, OUTPUT = "input", "logits"
_WIDTH = re.compile(rb"^Input .*? 0=(\d+)", re.MULTILINE)


def open_session(files: RuntimeFiles, threads: int, precision: str, _: str) -> NcnnSession:
    """Load a network, see `sessions.open_session`."""
    return NcnnSession(files, precision, threads)


class NcnnSession:
    """A loaded network with its input in place."""

    def __init__(self, files: RuntimeFiles, precision: str, threads: int) -> None:
        self._net = _load_net(files, precision, threads)
        self.image = timing_image(_read_side(files[".param"]))
        self.set_image(self.image)

    def set_image(self, image: NDArray[np.float32]) -> None:
        self.image[...] = image
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


def _read_side(param: bytes) -> int:
    found = _WIDTH.search(param)
    if found is None:
        raise MeasurementError("ncnn refused the file: it has no input of a known size")
    return int(found[1])


def _load_net(files: RuntimeFiles, precision: str, threads: int) -> Any:
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
