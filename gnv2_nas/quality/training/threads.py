"""How many threads torch gets on the processor."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from gnv2_nas.cores import usable_cores


@contextmanager
def half_the_cores() -> Iterator[None]:
    """As many threads as half the usable cores, unless OMP_NUM_THREADS says how many.

    The networks are thousands of short operators: on two cores, a step of a supernet takes two
    threads 1.0 to 1.8 times as long as one. A rule and not a measurement at the start: the number
    of threads decides how sums are rounded, and going on must lead to the same weights.
    """
    before = torch.get_num_threads()
    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(max(1, usable_cores() // 2))
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def usable_threads() -> Iterator[None]:
    """No more threads than usable cores: torch knows of affinity, but not of a CPU quota."""
    before = torch.get_num_threads()
    if "OMP_NUM_THREADS" not in os.environ and usable_cores() < before:
        torch.set_num_threads(usable_cores())
    try:
        yield
    finally:
        torch.set_num_threads(before)
