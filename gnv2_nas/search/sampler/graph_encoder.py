"""Encodes a genotype by the graph of its network.

The features are those of the latency model (`latency_model.features`): theoretical costs of the
graph by kind of work and map size. They also predict quality better than the parameters do. A
second set adds the block features of the accuracy predictor, for outcomes that depend on which
block has attention with which kernel.
"""

from __future__ import annotations

import random
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np

from gnv2_nas.arch import Architecture
from gnv2_nas.graph import Graph, count_graph, lower
from gnv2_nas.latency_model.features import feature_names, latency_features
from gnv2_nas.quality.predictor.features import features as block_features
from gnv2_nas.search.sampler.encoders import Columns, Encoded
from gnv2_nas.search.study.budgets import Budget, excesses
from gnv2_nas.search.study.metrics import Counted, get_metric
from gnv2_nas.space import SearchSpace
from gnv2_nas.stats.ridge import Matrix, Vector, standardize
from gnv2_nas.stats.variance_components import Groups

STANDARDIZATION_NETWORKS = 64
"""Random networks that features are standardised by."""


class GraphEncoder:
    """A `GenotypeEncoder` for a search space.

    Args:
        budgets: those that arithmetic can check become exact constraints.
        objectives: names of the study's objectives; those that arithmetic knows are exact.
        seen: ids of the networks that were evaluated; read at each call of `is_new`.
    """

    def __init__(
        self,
        space: SearchSpace,
        budgets: Sequence[Budget],
        objectives: Sequence[str],
        seen: Collection[str],
    ) -> None:
        self._space, self._budgets = space, budgets
        self._objectives = [get_metric(name) for name in objectives]
        self._seen = seen
        self._has_blocks = space.template.base.family != "mobilenetv3"
        rng = random.Random(0)
        usual = [space.sample(rng) for _ in range(STANDARDIZATION_NETWORKS)]
        raw = self._raw(usual, [lower(network) for network in usual])
        self._mean, self._spread = _mean_and_spread(raw)
        costs = _group_costs()
        blocks = np.full(raw.shape[1] - len(costs), costs.max() + 1)
        self.groups = np.concatenate([costs, blocks])
        self.feature_sets: Sequence[Columns] = [np.arange(len(costs)), np.arange(len(self.groups))]

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
        return Encoded(self._standardised(networks, graphs), exact, constraints)

    def is_new(self, params: Mapping[str, Any]) -> bool:
        """Whether the network was not evaluated yet, under any genotype."""
        return self._space.decode(params).id not in self._seen

    def _standardised(self, networks: Sequence[Architecture], graphs: Sequence[Graph]) -> Matrix:
        # A missing feature takes the mean, as in the accuracy predictor.
        return standardize(self._raw(networks, graphs), self._mean, self._spread)

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
