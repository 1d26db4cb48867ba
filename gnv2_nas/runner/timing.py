"""A loaded network, the image it is timed on, and the clocks that time it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

RuntimeFiles = Mapping[str, bytes]
"""The files that a runtime loads: suffix → content, for instance {".param": …, ".bin": …}."""


class Session(Protocol):
    """A loaded network with its input in place."""

    @property
    def image(self) -> NDArray[Any]:
        """The input, see `timing_input`; of a network of ours (1, 3, resolution, resolution)."""
        ...

    def set_image(self, image: NDArray[np.float32]) -> None:
        """Replace the input of a network of ours by an image that is prepared as for inference.

        Args:
            image: (1, 3, resolution, resolution).
        """
        ...

    def run(self) -> object:
        """Run one inference; it is finished on return."""
        ...

    def logits(self) -> NDArray[np.float32]:
        """Run one inference and return the first output in float32: (1, num_classes) of a network
        of ours."""
        ...


def timing_image(resolution: int) -> NDArray[np.float32]:
    """Return (1, 3, resolution, resolution) normal deviates, always the same."""
    import numpy as np

    shape = (1, 3, resolution, resolution)
    return np.random.default_rng(0).standard_normal(shape, dtype=np.float32)


def timing_input(shape: Sequence[int], dtype: str = "float32") -> NDArray[Any]:
    """Return what a file with an input of this shape is timed on, always the same.

    For a square image it is `timing_image`, with channels first or last; for another shape, other
    normal deviates; for integers, all values alike.
    """
    import numpy as np

    kind, sizes = np.dtype(dtype), tuple(int(size) for size in shape)
    if kind.kind in "iu":
        bounds = np.iinfo(kind)
        draw = np.random.default_rng(0).integers
        return draw(bounds.min, bounds.max, sizes, kind, endpoint=True)
    if len(sizes) == 4 and sizes == (1, 3, sizes[3], sizes[3]):
        values = timing_image(sizes[3])
    elif len(sizes) == 4 and sizes == (1, sizes[1], sizes[1], 3):
        values = np.ascontiguousarray(timing_image(sizes[1]).transpose(0, 2, 3, 1))
    else:
        values = np.random.default_rng(0).standard_normal(sizes, dtype=np.float32)
    return values.astype(kind, copy=False)


Timer = Callable[[Callable[[], object]], tuple[float, float]]
"""Times one inference: seconds of wall time, and seconds of the busy clock, see `Runtime.timer`."""


def thread_timer(run: Callable[[], object]) -> tuple[float, float]:
    """Return wall time and the CPU time of the calling thread, for runtimes that work in it."""
    wall, cpu = time.perf_counter(), time.thread_time()
    run()
    cpu = time.thread_time() - cpu
    return time.perf_counter() - wall, cpu


def wall_timer(run: Callable[[], object]) -> tuple[float, float]:
    """Return wall time twice, for accelerators that no other clock observes."""
    started = time.perf_counter()
    run()
    wall = time.perf_counter() - started
    return wall, wall


def timer_of(processor: str) -> Timer:
    """Return the timer of a processor, for runtimes that have none of their own."""
    return thread_timer if processor == "cpu" else wall_timer
