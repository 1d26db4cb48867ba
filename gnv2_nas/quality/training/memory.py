"""Out of memory: how to tell, and how a batch is cut into micro-batches."""

from __future__ import annotations

import gc

import torch

SMALLEST = 2
"""Images of a micro-batch: batch norm on a map of one pixel has no variance of one image."""

_CPU_SIGNS = ("can't allocate memory", "not enough memory", "out of memory", "bad_alloc")


def ran_out(error: BaseException) -> bool:
    """Whether an exception says that there was too little memory, on a GPU or a CPU."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    # Torch's CPU allocators have no exception of their own.
    return isinstance(error, RuntimeError) and any(sign in str(error) for sign in _CPU_SIGNS)


def release(device: torch.device) -> None:
    """Give back what a failed pass still holds."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()
