"""Encoders: genotypes as features for the models, with the outcomes that are known exactly."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from gnv2_nas.search.sampler.grid import Grid, Levels
from gnv2_nas.stats.ridge import Matrix, Vector
from gnv2_nas.stats.variance_components import Groups

Columns = NDArray[np.intp]


@dataclass(frozen=True)
class Encoded:
    """Features of m genotypes, and their outcomes that need no model."""

    features: Matrix
    """(m, d)"""
    values: Mapping[int, Vector] = field(default_factory=dict)
    """Number of an objective → (m,) exact values, in the direction of the study."""
    constraints: Mapping[str, Vector] = field(default_factory=dict)
    """Key of a constraint → (m,) exact values."""


class GenotypeEncoder(Protocol):
    """Encodes genotypes by more than their parameters, such as the graph of their network."""

    groups: Groups
    """(d,) group of each feature, from 0."""
    feature_sets: Sequence[Columns]
    """Sets of columns. Each outcome is modelled on the set that predicts it best."""

    def encode(self, params: Sequence[Mapping[str, Any]]) -> Encoded:
        """Encode genotypes."""

    def is_new(self, params: Mapping[str, Any]) -> bool:
        """Whether the genotype stands for something that was not tried yet."""


class LevelEncoder(Protocol):
    """A `GenotypeEncoder` of the levels of a grid."""

    groups: Groups
    feature_sets: Sequence[Columns]

    def encode(self, levels: Levels) -> Encoded: ...

    def is_new(self, levels: Levels) -> NDArray[np.bool_]: ...


class OneHotEncoder:
    """Encodes the parameters themselves: their order and their single levels."""

    def __init__(self, grid: Grid) -> None:
        self._grid = grid
        self.groups = grid.groups
        self.feature_sets: Sequence[Columns] = [np.arange(len(grid.groups))]

    def encode(self, levels: Levels) -> Encoded:
        return Encoded(self._grid.features(levels))

    def is_new(self, levels: Levels) -> NDArray[np.bool_]:
        return np.ones(len(levels), dtype=np.bool_)


class CachedEncoder:
    """A `LevelEncoder` that remembers what a `GenotypeEncoder` returned.

    Encoding a network takes a millisecond, and every batch encodes all trials.
    """

    def __init__(self, grid: Grid, encoder: GenotypeEncoder) -> None:
        self._grid, self._encoder = grid, encoder
        self.groups, self.feature_sets = encoder.groups, encoder.feature_sets
        self._rows: dict[bytes, Vector] = {}
        self._values: list[int] = []
        self._constraints: list[str] = []

    def encode(self, levels: Levels) -> Encoded:
        unknown = {row.tobytes(): row for row in levels if row.tobytes() not in self._rows}
        if unknown:
            self._add(unknown)
        width = len(self.groups) + len(self._values) + len(self._constraints)
        table = np.array([self._rows[row.tobytes()] for row in levels]).reshape(-1, width)
        features, exact = np.split(table, [len(self.groups)], axis=1)
        values, constraints = np.split(exact, [len(self._values)], axis=1)
        return Encoded(
            features,
            dict(zip(self._values, values.T, strict=False)),
            dict(zip(self._constraints, constraints.T, strict=False)),
        )

    def is_new(self, levels: Levels) -> NDArray[np.bool_]:
        known = self._encoder
        return np.array([known.is_new(self._grid.params(row)) for row in levels], dtype=np.bool_)

    def keep_only(self, levels: Levels) -> None:
        """Forget all other genotypes: they are many and are seldom encoded again."""
        kept = {row.tobytes() for row in levels}
        self._rows = {key: row for key, row in self._rows.items() if key in kept}

    def _add(self, unknown: Mapping[bytes, Levels]) -> None:
        told = self._encoder.encode([self._grid.params(row) for row in unknown.values()])
        self._values, self._constraints = list(told.values), list(told.constraints)
        columns = [told.features, *told.values.values(), *told.constraints.values()]
        self._rows |= dict(zip(unknown, np.column_stack(columns), strict=True))
