"""Parameters as numbers: each value of an Optuna distribution has a level with features."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from gnv2_nas.stats.ridge import Matrix
from gnv2_nas.stats.variance_components import Groups

Levels = NDArray[np.intp]
"""(n, p) level of each of p parameters, from 0."""

GridPoint = NDArray[np.intp]
"""(p,) levels of one genotype."""

MAX_LEVELS = 65
"""A longer range is searched at this many evenly spaced values."""
_MAX_ONE_HOT = 16
"""Parameters with more levels have `_HATS` hat features instead of one column a level."""
_HATS = 9
_OWN = 0.5
"""Weight of the features of single levels, relative to the place in the order."""


class Parameter:
    """One parameter: its values and their features."""

    def __init__(self, name: str, distribution: BaseDistribution) -> None:
        self.name = name
        self.values = _values(distribution)
        self.ordered = _is_ordered(self.values)
        self._choices = distribution if isinstance(distribution, CategoricalDistribution) else None
        self._nearest = _rank_values(self.values) if self.ordered else None
        if self._choices is None:
            self._numbers = np.array(self.values, dtype=np.float64)
        else:
            places = [_place(self._choices, value) for value in self.values]
            self._levels = {place: level for level, place in enumerate(places)}

    def level(self, value: Any) -> int:
        """The level of a value; for a number between two levels, the nearer one.

        Raises:
            ValueError: it is none of the choices.
        """
        if self._choices is None:
            return int(np.abs(self._numbers - float(value)).argmin())
        return self._levels[_place(self._choices, value)]

    @cached_property
    def order(self) -> NDArray[np.intp]:
        """Levels sorted by value; unchanged if the values have no order."""
        if self._nearest is None:
            return np.arange(len(self.values))
        return np.argsort(self._nearest)

    @cached_property
    def features(self) -> Matrix:
        """(levels, columns): the place in the order, and features of the single level."""
        count = len(self.values)
        own = _OWN * (_hat_features(count) if count > _MAX_ONE_HOT else np.eye(count))
        if self._nearest is None:
            return _center(own)
        places = self._nearest / max(count - 1, 1)
        return _center(np.column_stack([places, own]))


class Grid:
    """All parameters of a search space, in a fixed order."""

    def __init__(self, search_space: Mapping[str, BaseDistribution]) -> None:
        self.distributions = dict(search_space)
        self.parameters = [Parameter(name, each) for name, each in search_space.items()]
        self.sizes = np.array([len(each.values) for each in self.parameters], dtype=np.intp)

    def __len__(self) -> int:
        return len(self.parameters)

    @cached_property
    def ordered(self) -> NDArray[np.bool_]:
        """(p,) whether the values of each parameter have an order."""
        return np.array([each.ordered for each in self.parameters], dtype=np.bool_)

    @cached_property
    def neighbours(self) -> NDArray[np.intp]:
        """(p, most levels, 2) next lower and higher level of each, by value; at an end, the only
        neighbour twice."""
        table = np.zeros((len(self), self.sizes.max(initial=1), 2), dtype=np.intp)
        for number, parameter in enumerate(self.parameters):
            order, last = parameter.order, len(parameter.values) - 1
            places = np.arange(last + 1)
            below, above = np.abs(places - 1), last - np.abs(last - places - 1)
            table[number, order] = order[np.minimum(np.column_stack([below, above]), last)]
        return table

    def levels(self, params: Sequence[Mapping[str, Any]]) -> Levels:
        """(n, p) levels of n genotypes."""
        rows = [[each.level(one[each.name]) for each in self.parameters] for one in params]
        return np.array(rows, dtype=np.intp).reshape(len(params), len(self))

    def params(self, levels: GridPoint) -> dict[str, Any]:
        """The genotype of (p,) levels."""
        pairs = zip(self.parameters, levels, strict=True)
        return {each.name: each.values[level] for each, level in pairs}

    @cached_property
    def groups(self) -> Groups:
        """(d,) number of the parameter that each column of `features` belongs to."""
        columns = [each.features.shape[1] for each in self.parameters]
        return np.repeat(np.arange(len(self)), columns)

    def features(self, levels: Levels) -> Matrix:
        """(n, d) features of (n, p) levels."""
        parts = [each.features[levels[:, n]] for n, each in enumerate(self.parameters)]
        return np.hstack(parts) if parts else np.empty((len(levels), 0))


def _values(distribution: BaseDistribution) -> tuple[Any, ...]:
    if isinstance(distribution, CategoricalDistribution):
        return tuple(
            choice
            for place, choice in enumerate(distribution.choices)
            if _place(distribution, choice) == place
        )
    if isinstance(distribution, IntDistribution):
        return tuple(_integers(distribution))
    if isinstance(distribution, FloatDistribution):
        return tuple(_floats(distribution))
    raise ValueError(f"PredictorSampler knows no distribution {distribution!r}")


def _integers(distribution: IntDistribution) -> list[int]:
    low, high, step = distribution.low, distribution.high, distribution.step
    if (high - low) // step < MAX_LEVELS:
        return list(range(low, high + 1, step))
    if distribution.log:
        numbers = np.geomspace(low, high, MAX_LEVELS)
    else:
        numbers = np.linspace(low, high, MAX_LEVELS)
    places = np.unique(np.round((numbers - low) / step))
    # Beyond 2⁵³ the largest number may be rounded up.
    return [min(low + int(place) * step, high) for place in places]


def _floats(distribution: FloatDistribution) -> list[float]:
    low, high, step = distribution.low, distribution.high, distribution.step
    if distribution.log:
        return [float(value) for value in np.geomspace(low, high, MAX_LEVELS)]
    if step is None:
        return [float(value) for value in np.linspace(low, high, MAX_LEVELS)]
    last = round((high - low) / step)
    places = np.unique(np.round(np.linspace(0, last, min(last + 1, MAX_LEVELS))))
    # 0.1 + 2 · 0.1 is more than 0.3.
    return [float(min(low + place * step, high)) for place in places]


def _is_ordered(values: Sequence[Any]) -> bool:
    """Whether all values are numbers, so that their order may mean something."""
    return len(values) > 1 and all(
        isinstance(value, int | float) and not isinstance(value, bool) for value in values
    )


def _rank_values(values: Sequence[Any]) -> NDArray[np.float64]:
    """(levels,) place of each value among the sorted ones."""
    places = np.empty(len(values))
    places[np.argsort(np.array(values, dtype=np.float64), kind="stable")] = np.arange(len(values))
    return places


def _center(columns: Matrix) -> Matrix:
    result: Matrix = columns - columns.mean(axis=0)
    return result


def _hat_features(count: int) -> Matrix:
    """(count, _HATS) hat functions at evenly spaced centres, for each level."""
    places = np.linspace(0, _HATS - 1, count)
    result: Matrix = np.maximum(0, 1 - np.abs(places[:, None] - np.arange(_HATS)))
    return result


def _place(distribution: CategoricalDistribution, choice: Any) -> int:
    """Index of a choice in Optuna's sense: the first of equal choices, such as 1 and True."""
    return int(distribution.to_internal_repr(choice))
