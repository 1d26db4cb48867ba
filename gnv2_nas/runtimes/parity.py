"""Does the file compute what the torch module computes? Asked before anything is timed."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from gnv2_nas.arch import Architecture
from gnv2_nas.errors import MeasurementError
from gnv2_nas.runtimes.base import Precision, Runtime, Session

LIMITS: dict[Precision, float] = {"fp32": 1e-3, "fp16": 5e-2, "bf16": 2e-1, "int8": 0.3}
"""Largest difference accepted, see `difference`: far above rounding, far below a wrong network.
"""


def timing_image(resolution: int) -> NDArray[np.float32]:
    """(1, 3, resolution, resolution): normal deviates, always the same."""
    shape = (1, 3, resolution, resolution)
    return np.random.default_rng(0).standard_normal(shape, dtype=np.float32)


def difference(found: NDArray[np.float32], expected: NDArray[np.float32]) -> float:
    """Largest absolute difference relative to the largest absolute expected value; not finite
    where either of them is not."""
    return float(np.abs(found - expected).max() / max(float(np.abs(expected).max()), 1e-12))


def expected_logits(arch: Architecture, model: Any = None) -> NDArray[np.float32]:
    """(1, num_classes): what the torch module answers, with its own weights or those for timing."""
    import torch

    from gnv2_nas.nn import timing_model
    from gnv2_nas.nn.threads import torch_threads

    image = torch.from_numpy(timing_image(arch.resolution))
    with torch_threads(1), torch.inference_mode():
        # Channels last takes two thirds of the time.
        module = model or cast(Any, timing_model(arch)).to(memory_format=torch.channels_last)
        logits: NDArray[np.float32] = module(image).numpy()
    return logits


def check_parity(
    arch: Architecture,
    session: Session,
    runtime: Runtime,
    model: Any = None,
    expected: NDArray[np.float32] | None = None,
) -> float:
    """How far the session's logits are from the torch module's.

    Args:
        arch: the network.
        session: of its file.
        runtime: that loaded it; its precision decides what is allowed.
        model: the module in evaluation mode whose weights the file has; without one, those made
            for timing.
        expected: `expected_logits(arch, model)`, where they are known already.

    Raises:
        MeasurementError: farther than `LIMITS` allows.
    """
    found = session.logits()
    if expected is None:
        expected = expected_logits(arch, model)
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
