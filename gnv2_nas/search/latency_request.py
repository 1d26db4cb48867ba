"""What `gnv2-nas devices fit` is asked for, checked before anything is measured."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import msgspec

from gnv2_nas.arch import Architecture
from gnv2_nas.devices.device import read_profile
from gnv2_nas.errors import InputError
from gnv2_nas.latency_model.file import load_latency_model
from gnv2_nas.latency_model.model import LatencyModel, check_enough
from gnv2_nas.search import defaults
from gnv2_nas.search.balanced import draw_balanced
from gnv2_nas.search.device_files import check_device_files
from gnv2_nas.space import SearchSpace, load_space

NETWORKS = 120
NETWORKS_TO_CORRECT = 20


class LatencyFitRequest(msgspec.Struct, frozen=True):
    """What `gnv2-nas devices fit` is asked for."""

    device: str
    space: str = ""
    """Name or path; "" is that of `correct`, or the default."""
    networks: int | None = None
    held_out: int | None = None
    """Networks that give the error; a quarter of them without."""
    seconds_per_network: float = 1.5
    seed: int = 0
    correct: Path | None = None
    """File of another device's model, to be corrected instead of fitting one anew."""


class CheckedLatencyFit(msgspec.Struct, frozen=True):
    """A request that can be carried out."""

    request: LatencyFitRequest
    space: SearchSpace
    architectures: list[Architecture]
    """To measure, in the order that they were drawn in."""
    held_out: int
    """0 for a correction: there each network is left out once."""
    base: LatencyModel | None = None
    """To correct; without one a model is fitted anew."""
    base_device: str = ""


def check_latency_fit(request: LatencyFitRequest) -> CheckedLatencyFit:
    """
    Raises:
        InputError: device, space, file or a number; the message says which.
        OutputError: `profiles/` cannot be written to.
    """
    read_profile(request.device)
    if not request.seconds_per_network > 0:
        raise InputError(
            f"--seconds-per-network must be positive, but got {request.seconds_per_network:g}"
        )
    check_device_files(request.device, request.correct, fits=True)
    return _checked_fit(request) if request.correct is None else _checked_correction(request)


def _checked_fit(request: LatencyFitRequest) -> CheckedLatencyFit:
    wanted = NETWORKS if request.networks is None else request.networks
    held_out = max(wanted // 4, 1) if request.held_out is None else request.held_out
    if held_out < 1:
        raise InputError(f"--held-out must be 1 or more, but got {held_out}")
    space = load_space(request.space or defaults.SPACE)
    architectures = draw_balanced(space, wanted, request.seed)
    check_enough(len(architectures) - held_out)
    return CheckedLatencyFit(request, space, architectures, held_out)


def _checked_correction(request: LatencyFitRequest) -> CheckedLatencyFit:
    if request.held_out is not None:
        raise InputError("--held-out does not go with --from: each network is left out once")
    base, fitted_on = load_latency_model(cast(Path, request.correct))
    wanted = NETWORKS_TO_CORRECT if request.networks is None else request.networks
    space = load_space(request.space or fitted_on.space)
    architectures = draw_balanced(space, wanted, request.seed)
    check_enough(len(architectures))
    return CheckedLatencyFit(request, space, architectures, 0, base, fitted_on.device)
