"""What a trust check is asked for, checked before anything costly is imported or trained."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from gnv2_nas.data import check_source, find_classes
from gnv2_nas.errors import InputError
from gnv2_nas.files.outputs import check_outputs
from gnv2_nas.files.writing import check_writable
from gnv2_nas.quality.accuracy.journal import ACCURACIES
from gnv2_nas.quality.base import ESTIMATORS
from gnv2_nas.quality.registry import check_estimator
from gnv2_nas.quality.trust.networks import NetworkSample, budget_macs, sample_networks
from gnv2_nas.quality.trust.panel import PANEL_FOLDER, TRUST, accuracies_path, trust_path
from gnv2_nas.space import SearchSpace, load_space

if TYPE_CHECKING:
    from gnv2_nas.quality.trust.check import TrustPlan

SHORTENED = 2
"""A check trains half as long as one would for weights to ship: it orders networks the same."""


class TrustRequest(msgspec.Struct, frozen=True):
    """The question, as a user asks it."""

    data: str
    """A folder of class folders, or "digits"."""
    space: str
    budget: str = ""
    """Middle of the budget band, "4MFLOPs"; "" for the median of the space."""
    networks: int = 12
    seeds: int = 2
    epochs: float | None = None
    """Length of a training; None for half of the usual one."""
    estimators: tuple[str, ...] = ()
    """Besides all data-free ones, as `--quality` takes them."""
    seed: int = 0
    """Of the networks that are drawn."""


@dataclass(frozen=True)
class CheckedTrustRequest:
    """A request that can be carried out, as far as is known without reading an image."""

    request: TrustRequest
    space: SearchSpace
    """With as many classes as the data."""
    drawn: NetworkSample
    estimators: tuple[str, ...]


def check_trust_request(request: TrustRequest) -> CheckedTrustRequest:
    """Find what is wrong with a request.

    Raises:
        InputError: data, space, budget, a number or an estimator; the message says which.
        OutputError: the panel could not be written.
    """
    if request.seeds < 1:
        raise InputError(f"--seeds must be 1 or more, but got {request.seeds}")
    if request.epochs is not None and not request.epochs > 0:
        raise InputError(f"--epochs must be above 0, but got {request.epochs:g}")
    for spec in request.estimators:
        check_estimator(spec)
    budget = budget_macs(request.budget)
    check_source(request.data)
    space = load_space(request.space).with_classes(len(find_classes(request.data)))
    drawn = sample_networks(space, request.networks, budget, request.seed)
    check_writable(Path(PANEL_FOLDER))
    panel = trust_path(space.name)
    check_outputs({panel: TRUST, accuracies_path(panel): ACCURACIES}, [request.space], "--space")
    return CheckedTrustRequest(request, space, drawn, (*data_free(), *request.estimators))


def data_free() -> tuple[str, ...]:
    """Names of the estimators that need neither images nor a file."""
    return tuple(
        name for name, info in ESTIMATORS.items() if not (info.needs_data or info.needs_file)
    )


def plan_trust_check(
    checked: CheckedTrustRequest, progress: Callable[[float], None] | None = None
) -> TrustPlan:
    """Read the images and choose the recipe.

    Args:
        progress: is told the share of the images that are read.

    Raises:
        DataError: the images cannot be used.
    """
    from gnv2_nas.data import load_dataset
    from gnv2_nas.quality.trust.check import TrustPlan
    from gnv2_nas.training import default_recipe

    request, space = checked.request, checked.space
    dataset = load_dataset(request.data, max(space.resolutions), progress=progress)
    recipe = default_recipe(dataset, epochs=request.epochs)
    if request.epochs is None:
        recipe = default_recipe(dataset, steps=max(1, recipe.steps // SHORTENED))
    # Nobody looks at the curve: only the last evaluation counts.
    return TrustPlan(space, dataset, checked.drawn, recipe.replace(evaluations=1), request.seeds)
