"""Genotypes as features of the surrogate models, with the outcomes that arithmetic knows."""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from gnv2_nas.arch import Architecture
from gnv2_nas.graph import Graph, count_graph, lower
from gnv2_nas.latency_model.features import feature_names, latency_features
from gnv2_nas.quality.predictor.features import features as block_features
from gnv2_nas.search.sampler.grid import Grid, Levels
from gnv2_nas.search.study.budgets import Budget, excesses
from gnv2_nas.search.study.metrics import Counted, get_metric
from gnv2_nas.search.study.records import Trial
from gnv2_nas.space import SearchSpace
from gnv2_nas.stats.ridge import Matrix, Vector, standardize
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


@dataclass(frozen=True)
class FeatureSet:
    """Features that a model of an outcome may use."""

    columns: Columns
    groups: Groups
    """Group of each of the columns, from 0. The model estimates a variance for each group."""
    offset: int | None = None
    """Column with the logarithm of the outcome in theory, up to a constant: the model learns how
    the outcome deviates from it. Such a set is for positive outcomes."""

    def offsets(self, features: Matrix) -> Vector:
        """(m,) what is added to the modelled values at (m, d) features."""
        return np.zeros(len(features)) if self.offset is None else features[:, self.offset]


class GenotypeEncoder(Protocol):
    """Encodes genotypes by more than their parameters, such as the graph of their network."""

    feature_sets: Sequence[FeatureSet]
    """Each outcome is modelled on the set that predicts it best. At least one has no offset."""

    def encode(self, params: Sequence[Mapping[str, Any]]) -> Encoded:
        """Encode genotypes."""

    def is_new(self, params: Mapping[str, Any]) -> bool:
        """Whether the genotype stands for something that was not tried yet."""

    def elsewhere(self) -> Encoded:
        """Encode what was evaluated outside the study; what is not known of it is NaN."""


class LevelEncoder(Protocol):
    """A `GenotypeEncoder` of the levels of a grid."""

    feature_sets: Sequence[FeatureSet]

    def encode(self, levels: Levels) -> Encoded: ...

    def is_new(self, levels: Levels) -> NDArray[np.bool_]: ...

    def elsewhere(self) -> Encoded: ...


class OneHotEncoder:
    """Encodes the parameters themselves: their order and their single levels."""

    def __init__(self, grid: Grid) -> None:
        self._grid = grid
        columns = np.arange(len(grid.groups))
        self.feature_sets: Sequence[FeatureSet] = [FeatureSet(columns, grid.groups)]

    def encode(self, levels: Levels) -> Encoded:
        return Encoded(self._grid.features(levels))

    def is_new(self, levels: Levels) -> NDArray[np.bool_]:
        return np.ones(len(levels), dtype=np.bool_)

    def elsewhere(self) -> Encoded:
        return Encoded(np.empty((0, len(self._grid.groups))))


class CachedEncoder:
    """A `LevelEncoder` that remembers what a `GenotypeEncoder` returned.

    Encoding a network takes a millisecond, and every batch encodes all trials.
    """

    def __init__(self, grid: Grid, encoder: GenotypeEncoder) -> None:
        self._grid, self._encoder = grid, encoder
        self.feature_sets = encoder.feature_sets
        self._width = 0
        self._rows: dict[bytes, Vector] = {}
        self._values: list[int] = []
        self._constraints: list[str] = []

    def encode(self, levels: Levels) -> Encoded:
        unknown = {row.tobytes(): row for row in levels if row.tobytes() not in self._rows}
        if unknown:
            self._add(unknown)
        width = self._width + len(self._values) + len(self._constraints)
        table = np.array([self._rows[row.tobytes()] for row in levels]).reshape(-1, width)
        features, exact = np.split(table, [self._width], axis=1)
        values, constraints = np.split(exact, [len(self._values)], axis=1)
        return Encoded(
            features,
            dict(zip(self._values, values.T, strict=False)),
            dict(zip(self._constraints, constraints.T, strict=False)),
        )

    def is_new(self, levels: Levels) -> NDArray[np.bool_]:
        known = self._encoder
        return np.array([known.is_new(self._grid.params(row)) for row in levels], dtype=np.bool_)

    def elsewhere(self) -> Encoded:
        return self._encoder.elsewhere()

    def keep_only(self, levels: Levels) -> None:
        """Forget all other genotypes: they are many and are seldom encoded again."""
        kept = {row.tobytes() for row in levels}
        self._rows = {key: row for key, row in self._rows.items() if key in kept}

    def _add(self, unknown: Mapping[bytes, Levels]) -> None:
        told = self._encoder.encode([self._grid.params(row) for row in unknown.values()])
        self._width = told.features.shape[1]
        self._values, self._constraints = list(told.values), list(told.constraints)
        columns = [told.features, *told.values.values(), *told.constraints.values()]
        self._rows |= dict(zip(unknown, np.column_stack(columns), strict=True))


_LOG_COST = feature_names().index("log_cost")
STANDARDIZATION_NETWORKS = 64
"""Random networks that features are standardised by."""


class GraphEncoder:
    """A `GenotypeEncoder` for a search space.

    Args:
        budgets: those that arithmetic can check become exact constraints.
        objectives: names of the study's objectives; those that arithmetic knows are exact.
        seen: ids of the networks that were evaluated; read at each call of `is_new`.
        earlier: returns networks that other studies evaluated, with what is known of them here;
            the same networks at each call, or none.
    """

    def __init__(
        self,
        space: SearchSpace,
        budgets: Sequence[Budget],
        objectives: Sequence[str],
        seen: Collection[str],
        earlier: Callable[[], Sequence[Trial]] = list,
    ) -> None:
        self._space, self._budgets = space, budgets
        self._objectives = [get_metric(name) for name in objectives]
        self._seen, self._earlier = seen, earlier
        self._has_blocks = space.template.base.family != "mobilenetv3"
        rng = random.Random(0)
        usual = [space.sample(rng) for _ in range(STANDARDIZATION_NETWORKS)]
        raw = self._raw(usual, [lower(network) for network in usual])
        self._mean, self._spread = _mean_and_spread(raw)
        self._earlier_features: Matrix | None = None
        self._spread[_LOG_COST] = 1.0
        costs = _group_costs()
        shares = np.delete(np.arange(len(costs)), _LOG_COST)
        blocks = np.full(raw.shape[1] - len(costs), costs.max() + 1)
        both = np.concatenate([costs, blocks])
        self.feature_sets: Sequence[FeatureSet] = [
            FeatureSet(np.arange(len(costs)), costs),
            FeatureSet(np.arange(len(both)), both),
            # The latency model: one variance for all shares of a theoretical cost.
            FeatureSet(shares, np.zeros_like(shares), offset=_LOG_COST),
        ]

    def encode(self, params: Sequence[Mapping[str, Any]]) -> Encoded:
        """Encode the network of each genotype, with the outcomes that arithmetic knows."""
        networks = [self._space.decode(one) for one in params]
        graphs = [lower(network) for network in networks]
        known = [Counted(count_graph(graph)) for graph in graphs]
        exact = {
            number: np.array([metric.value(each) for each in known], dtype=np.float64)
            for number, metric in enumerate(self._objectives)
            if metric.count is not None
        }
        over = [excesses(self._budgets, each) for each in known]
        keys = list(over[0]) if over else []
        constraints = {key: np.array([each[key] for each in over]) for key in keys}
        return Encoded(self._standardised(self._raw(networks, graphs)), exact, constraints)

    def elsewhere(self) -> Encoded:
        """Encode the networks of other studies, with what must be evaluated to be known."""
        trials = self._earlier()
        if not trials:
            return Encoded(np.empty((0, len(self._mean))))
        if self._earlier_features is None:
            costs = latency_features([lower(trial.architecture) for trial in trials])
            # They may be of other spaces, whose blocks have no features here.
            raw = np.full((len(trials), len(self._mean)), np.nan)
            raw[:, : costs.shape[1]] = costs
            self._earlier_features = self._standardised(raw)
        values = {
            number: np.array([metric.value(trial) for trial in trials])
            for number, metric in enumerate(self._objectives)
            if metric.count is None
        }
        over = [excesses(self._budgets, trial) for trial in trials]
        constraints = {
            budget.metric: np.array([each.get(budget.metric, np.nan) for each in over])
            for budget in self._budgets
            if get_metric(budget.metric).count is None
        }
        return Encoded(self._earlier_features, values, constraints)

    def is_new(self, params: Mapping[str, Any]) -> bool:
        """Whether the network was not evaluated yet, under any genotype."""
        return self._space.decode(params).id not in self._seen

    def _standardised(self, raw: Matrix) -> Matrix:
        # A missing feature takes the mean, as in the accuracy predictor.
        return standardize(raw, self._mean, self._spread)

    def _raw(self, networks: Sequence[Architecture], graphs: Sequence[Graph]) -> Matrix:
        costs = latency_features(graphs)
        if not self._has_blocks:
            return costs
        return np.hstack([costs, block_features(networks, self._space.supernet_spec)])


def _mean_and_spread(rows: Matrix) -> tuple[Vector, Vector]:
    """(d,) mean and spread of each column without NaN; infinite spread if it never varies."""
    known = ~np.isnan(rows)
    number = np.maximum(known.sum(axis=0), 1)
    mean = np.where(known, rows, 0).sum(axis=0) / number
    spread = np.sqrt((np.where(known, rows - mean, 0) ** 2).sum(axis=0) / number)
    return mean, np.where(spread > 1e-9, spread, np.inf)


def _group_costs() -> Groups:
    """Number the quantities: all map sizes of one quantity are one group."""
    quantities = [name.rpartition(".")[0] or name for name in feature_names()]
    return np.unique(quantities, return_inverse=True)[1]
