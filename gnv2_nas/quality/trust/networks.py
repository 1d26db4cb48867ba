"""Samples the networks of a trust check: from the whole space, and from inside a budget."""

from __future__ import annotations

import random
from collections.abc import Iterator
from statistics import median

import msgspec

from gnv2_nas.arch import Architecture
from gnv2_nas.errors import InputError
from gnv2_nas.graph import Counts, count
from gnv2_nas.space import SearchSpace, Value
from gnv2_nas.units import format_quantity, parse_quantity


def sample_correlated(space: SearchSpace, rng: random.Random) -> dict[str, Value]:
    """Sample a genotype in which genes of one axis are positively correlated.

    Independent genes average out: with dozens of them, all networks have medium kernels, medium
    expansions and attention in half of their blocks. Here each axis has a random level, and each
    gene takes the level of its axis or is drawn independently. The share of the former is random,
    too.
    """
    following = rng.random()
    levels: dict[str, float] = {}
    params: dict[str, Value] = {}
    for gene in space.genes:
        level = levels.setdefault(gene.axis, rng.random())
        place = level if rng.random() < following else rng.random()
        params[gene.name] = gene.choices[int(place * len(gene.choices))]
    return params


BAND = 0.15
"""Relative half-width of the budget band."""
MIN_TRAINED_NETWORKS = 2
MIN_TRAINED_RESOLUTION = 32
_MEDIAN_NETWORKS = 400
_MAX_TRIES = 10_000
"""A few seconds of sampling."""


class SampledNetwork(msgspec.Struct, frozen=True):
    """A network with its counts."""

    architecture: Architecture
    """The network of the space, which is scored."""
    counts: Counts
    in_band: bool
    trained: Architecture
    """The network as it is trained: the same one, or at a lower resolution."""


class NetworkSample(msgspec.Struct, frozen=True):
    """Networks to train, and the budget band in multiply-adds."""

    band: tuple[float, float]
    networks: tuple[SampledNetwork, ...]


def parse_band_budget(text: str) -> float | None:
    """Parse a budget such as "4MFLOPs" to multiply-adds; None for "".

    Raises:
        BudgetError: it cannot be read.
        InputError: it limits something else.
    """
    if not text:
        return None
    metric, amount = parse_quantity(text)
    if metric != "macs":
        raise InputError(f"the budget band is one of multiply-adds, for example 4MFLOPs: {text!r}")
    return amount


def sample_networks(
    space: SearchSpace,
    networks: int,
    budget: float | None = None,
    seed: int = 0,
    *,
    in_band: int | None = None,
    resolution: int | None = None,
) -> NetworkSample:
    """Sample distinct networks: some from the whole space, the others from the budget band.

    Args:
        budget: multiply-adds at the centre of the band; None means the median of the space.
        in_band: how many come from the band; None means half.
        resolution: width of the training images for networks of the largest resolution of the
            space; other networks are scaled by the same factor. None keeps all resolutions.

    Raises:
        InputError: fewer than two networks, too few within the budget, or a resolution above
            that of the space.
    """
    if networks < MIN_TRAINED_NETWORKS:
        raise InputError(f"--networks must be {MIN_TRAINED_NETWORKS} or more, but got {networks}")
    if in_band is None:
        in_band = networks - networks // 2
    if not 0 <= in_band <= networks:
        raise InputError(f"--in-band must be 0 to {networks}, the --networks, but got {in_band}")
    scale = _find_scale(space, resolution)
    sampled = _sample_distinct(space, random.Random(seed))
    if budget is None:
        others = random.Random(f"{seed} median")
        budget = median(count(space.sample(others)).macs for _ in range(_MEDIAN_NETWORKS))
    band = (budget * (1 - BAND), budget * (1 + BAND))
    _check_band(space, band)
    chosen: list[SampledNetwork] = []
    for network, counts in sampled:
        inside = band[0] <= counts.macs <= band[1]
        if inside or len(chosen) < networks - in_band:
            trained = network.replace(resolution=round(network.resolution * scale))
            chosen.append(SampledNetwork(network, counts, inside, trained))
        if len(chosen) == networks:
            return NetworkSample(band, tuple(chosen))
    known = sum(each.in_band for each in chosen)
    raise InputError(
        f"only {known} of {_MAX_TRIES} random networks of space {space.name!r} have "
        f"{_format_band(band)}; choose another --budget or fewer --networks"
    )


def _find_scale(space: SearchSpace, resolution: int | None) -> float:
    """Return the factor from the resolutions of the space to those of the trainings."""
    largest = max(space.resolutions)
    if resolution is None:
        return 1.0
    if not MIN_TRAINED_RESOLUTION <= resolution <= largest:
        raise InputError(
            f"--resolution must be {MIN_TRAINED_RESOLUTION} to {largest}, the largest of space "
            f"{space.name!r}, but got {resolution}"
        )
    return resolution / largest


def _check_band(space: SearchSpace, band: tuple[float, float]) -> None:
    """Raise InputError if the band lies below or above the whole space."""
    low, high = (
        float(count(space.decode(corner)).macs) for corner in (space.smallest(), space.largest())
    )
    if band[1] < low or band[0] > high:
        raise InputError(
            f"--budget: no network of space {space.name!r} has {_format_band(band)}; it goes from "
            f"{_format_band((low, high))}"
        )


def _format_band(band: tuple[float, float]) -> str:
    low, high = (format_quantity("macs", bound) for bound in band)
    return f"{low} to {high}"


def _sample_distinct(
    space: SearchSpace, rng: random.Random
) -> Iterator[tuple[Architecture, Counts]]:
    seen = set()
    for _ in range(_MAX_TRIES):
        network = space.decode(sample_correlated(space, rng))
        if network.id not in seen:
            seen.add(network.id)
            yield network, count(network)
