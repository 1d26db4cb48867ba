"""How many threads a training on the processor gets."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def half_the_cores() -> Iterator[None]:
    """As many threads as half the cores, unless OMP_NUM_THREADS says how many.

    The networks are thousands of short operators: on two cores, a step of a supernet takes two
    threads 1.0 to 1.8 times as long as one. A rule and not a measurement at the start: the number
    of threads decides how sums are rounded, and going on must lead to the same weights.
    """
    before = torch.get_num_threads()
    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(max(1, (os.cpu_count() or 1) // 2))
    try:
        yield
    finally:
        torch.set_num_threads(before)
