"""Check that a file computes what the torch module computes, before it is timed."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from gnv2_nas.arch import Architecture
from gnv2_nas.errors import MeasurementError
from gnv2_nas.runner.timing import Session, timing_image
from gnv2_nas.runtimes.base import Precision, Runtime

LIMITS: dict[Precision, float] = {"fp32": 1e-3, "fp16": 5e-2, "bf16": 2e-1, "int8": 0.3}
"""Largest accepted `difference`: far above rounding errors, far below those of a wrong network."""


def difference(found: NDArray[np.float32], expected: NDArray[np.float32]) -> float:
    """Return the largest absolute difference relative to the largest absolute expected value.

    The result is not finite if a value is not.
    """
    return float(np.abs(found - expected).max() / max(float(np.abs(expected).max()), 1e-12))


def expected_logits(arch: Architecture, model: Any = None) -> NDArray[np.float32]:
    """Return the torch module's (1, num_classes) logits for `timing_image`.

    Args:
        model: module with the weights (default: `timing_model(arch)`).
    """
    import torch

    from gnv2_nas.nn import timing_model
    from gnv2_nas.nn.interpreter import torch_threads

    image = torch.from_numpy(timing_image(arch.resolution))
    with torch_threads(1), torch.inference_mode():
        # Channels last takes two thirds of the time.
        module = model or cast(Any, timing_model(arch)).to(memory_format=torch.channels_last)
        logits: NDArray[np.float32] = module(image).numpy()
    return logits


def check_parity(
    arch: Architecture, session: Session, runtime: Runtime, model: Any = None
) -> float:
    """Return the `difference` between the session's logits and the torch module's.

    Args:
        arch: the network.
        session: session of its file.
        runtime: runtime of the session; its precision decides the limit.
        model: module in evaluation mode with the file's weights (default: `timing_model(arch)`).

    Raises:
        MeasurementError: the difference exceeds `LIMITS`.
    """
    return check_logits(arch.id, session.logits(), expected_logits(arch, model), runtime)


def check_logits(
    network: str,
    found: NDArray[np.float32],
    expected: NDArray[np.float32],
    runtime: Runtime,
) -> float:
    """Return the `difference` between logits and those of torch, see `check_parity`.

    Args:
        network: its id, for messages.
        found: what the runtime computed.
        expected: what torch computed.
        runtime: its precision decides the limit.
    """
    if found.shape != expected.shape:
        raise MeasurementError(
            f"{runtime.version()} gives logits of shape {found.shape} for network {network}, "
            f"torch {expected.shape}"
        )
    apart = difference(found, expected)
    limit = LIMITS[runtime.precision]
    if not apart <= limit:
        raise MeasurementError(
            f"{runtime.version()} at {runtime.precision} does not compute network {network}: its "
            f"logits differ from torch's by {apart:.2g} of the largest; {limit:g} is allowed"
        )
    return apart
