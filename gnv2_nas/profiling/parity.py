"""Does the file compute what the torch module computes? Asked before anything is timed."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gnv2_nas.arch import Architecture
from gnv2_nas.errors import MeasurementError
from gnv2_nas.profiling.runtime import Precision, Runtime, Session

LIMITS: dict[Precision, float] = {"fp32": 1e-3, "fp16": 5e-2, "bf16": 2e-1, "int8": 1.0}
"""Largest difference accepted, see `difference`: far above rounding, far below a wrong network.

With the random weights made for timing, int8 keeps little more than the order of magnitude.
"""


def timing_image(resolution: int) -> NDArray[np.float32]:
    """(1, 3, resolution, resolution): normal deviates, always the same."""
    shape = (1, 3, resolution, resolution)
    return np.random.default_rng(0).standard_normal(shape, dtype=np.float32)


def difference(found: NDArray[np.float32], expected: NDArray[np.float32]) -> float:
    """Largest absolute difference relative to the largest absolute expected value; not finite
    where either of them is not."""
    return float(np.abs(found - expected).max() / max(float(np.abs(expected).max()), 1e-12))


def expected_logits(arch: Architecture) -> NDArray[np.float32]:
    """(1, num_classes): what the torch module with the weights for timing answers."""
    import torch

    from gnv2_nas.nn import timing_model

    image = torch.from_numpy(timing_image(arch.resolution))
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.inference_mode():
            # A tenth of a second's work; channels last it takes two thirds of the time.
            model = timing_model(arch).to(memory_format=torch.channels_last)
            logits: NDArray[np.float32] = model(image).numpy()
    finally:
        torch.set_num_threads(threads)
    return logits


def check_parity(arch: Architecture, session: Session, runtime: Runtime) -> float:
    """How far the session's logits are from the torch module's.

    Raises:
        MeasurementError: farther than `LIMITS` allows.
    """
    found = session.logits()
    expected = expected_logits(arch)
    if found.shape != expected.shape:
        raise MeasurementError(
            f"{runtime.version()} gives logits of shape {found.shape} for network {arch.id}, "
            f"torch {expected.shape}"
        )
    apart = difference(found, expected)
    limit = LIMITS[runtime.precision]
    if not apart <= limit:
        raise MeasurementError(
            f"{runtime.version()} at {runtime.precision} does not compute network {arch.id}: its "
            f"logits differ from torch's by {apart:.2g} of the largest; {limit:g} is allowed"
        )
    return apart
