"""How fast the machine is for a network of any size, read off references of known ratio.

A Gaussian process over `panel.position` with an unknown constant (ordinary kriging, Matheron 1963;
Rasmussen and Williams, "Gaussian Processes for Machine Learning", 2006, section 2.7). The constant
is how fast the machine is at all, the process how much more it slows one size down than another.
"""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

REACH = 0.5
"""Positions so far apart have little to say about each other."""
_JITTER = 1e-10


class Speeds(msgspec.Struct, frozen=True):
    """The machine's speed for each network, as weighted means over the references."""

    weights: Array
    """(networks, references); each row sums to 1."""
    variance: Array
    """(networks,) of the error, without that of the known ratios."""
    constant: Array
    """(references,): weights of the speed of the machine at all."""


def size_correlation(first: Array, second: Array) -> Array:
    """(n, m) correlation of what slows networks at these positions down."""
    return np.asarray(np.exp(-0.5 * ((first[:, None] - second) / REACH) ** 2))


def estimate_speeds(
    positions: Array, references: NDArray[np.intp], noise: Array, size_spread: float
) -> Speeds:
    """Best unbiased weights.

    Args:
        positions: (networks,), see `panel.position`.
        references: rows of those whose ratio is known.
        noise: (references,) variance of what is measured of each.
        size_spread: standard deviation, in logs, of the process.
    """
    variance = size_spread**2
    theirs = positions[references]
    observed = variance * size_correlation(theirs, theirs) + np.diag(noise + _JITTER)
    wanted = variance * size_correlation(positions, theirs)
    inverse = np.linalg.inv(observed)
    ones = inverse.sum(axis=0)
    constant = ones / ones.sum()
    simple = wanted @ inverse
    weights = simple + (1 - simple.sum(axis=1))[:, None] * constant
    error = variance - 2 * (weights * wanted).sum(axis=1) + _quadratic(weights, observed)
    return Speeds(weights, error.clip(min=0.0), constant)


def _quadratic(weights: Array, covariance: Array) -> Array:
    return np.asarray((weights @ covariance * weights).sum(axis=1))


def calibration_error(weights: Array, covariance: Array, network_spread: float = 0.0) -> Array:
    """(networks,) standard error that no more rounds make less.

    Args:
        weights: see `Speeds`.
        covariance: (references, references) of the errors of the known ratios.
        network_spread: standard deviation of what a machine does to one network alone, to a
            reference as to any other.
    """
    alone = network_spread**2 * (1 + (weights**2).sum(axis=1))
    error: Array = np.sqrt(_quadratic(weights, covariance).clip(min=0.0) + alone)
    return error
