"""Sessions of ExecuTorch with XNNPACK on the CPU."""

from __future__ import annotations

import contextlib
import io
import tempfile
import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import torch

# isort: split
# `executorch.runtime` loads the same bindings, after 8 s of importing the whole compiler. They need
# torch's libraries, so they are imported after torch.
import executorch.extension.pybindings._C as bindings  # noqa: N811

from gnv2_nas.errors import MeasurementError
from gnv2_nas.runner.sessions import refuse_file
from gnv2_nas.runner.timing import RuntimeFiles, timing_image

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_METHOD = "forward"


def open_session(files: RuntimeFiles, threads: int, _precision: str, _: str) -> ExecuTorchSession:
    """Load a program, see `sessions.open_session`."""
    return ExecuTorchSession(files, threads)


class ExecuTorchSession:
    """A loaded program with its input in place."""

    _alive: ClassVar[weakref.WeakSet[ExecuTorchSession]] = weakref.WeakSet()

    def __init__(self, files: RuntimeFiles, threads: int, *, trace: bool = False) -> None:
        self._set_threads(threads)
        self._content = files[".pte"]  # the program reads it in place
        try:
            with quiet():
                self._program = bindings._load_program_from_buffer(
                    self._content,
                    enable_etdump=trace,
                    program_verification=bindings.Verification.InternalConsistency,
                )
                self._method = self._program.load_method(_METHOD)
        except Exception as error:
            raise refuse_file("ExecuTorch", error) from None
        sizes = self._method.method_meta().input_tensor_meta(0).sizes()
        self.image = timing_image(sizes[-1])
        self.set_image(self.image)
        self._alive.add(self)

    def set_image(self, image: NDArray[np.float32]) -> None:
        self.image[...] = image
        self._method.set_inputs([torch.from_numpy(self.image)])

    def run(self) -> Any:
        """Run one inference; with one thread, in the calling thread."""
        return self._method.execute()

    def logits(self) -> NDArray[np.float32]:
        self.run()
        (logits,) = self._method.get_outputs()
        found: NDArray[np.float32] = logits.numpy()
        return found

    def trace(self) -> bytes:
        """Return ExecuTorch's record (ETDump) of every run so far; requires `trace`."""
        with tempfile.TemporaryDirectory() as folder:
            dump, data = Path(folder) / "events", Path(folder) / "tensors"
            self._program.write_etdump_result_to_file(str(dump), str(data))
            return dump.read_bytes()

    @classmethod
    def _set_threads(cls, threads: int) -> None:
        """Set the size of the thread pool. All programs of the process keep pointers into it."""
        with quiet():
            now = bindings._threadpool_get_thread_count()
            if now == threads:
                return
            if cls._alive:
                raise MeasurementError(
                    f"ExecuTorch has one number of threads for the whole process: {now} while "
                    f"a session is loaded, so another cannot have {threads}"
                )
            bindings._unsafe_reset_threadpool(threads)


def quiet() -> contextlib.redirect_stderr[io.StringIO]:
    """Suppress what ExecuTorch logs about its thread pool and about a refused file."""
    return contextlib.redirect_stderr(io.StringIO())
