"""The front of a landscape, evolved on its own truth: where a search will end up."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

from benchmarks.landscapes.drawing import Params, draw_params, from_digits, to_digits
from benchmarks.landscapes.truth import Matrix
from gnv2_nas.search.analysis.pareto import is_non_dominated
from gnv2_nas.space import SearchSpace

GENERATIONS = 40
CHILDREN = 300
CHANGES = 2
"""Genes of a child that are drawn afresh, on average."""


def evolve_front(
    losses_of: Callable[[Sequence[Params]], Matrix], space: SearchSpace, rng: random.Random
) -> list[Params]:
    """Genotypes that no other one found dominates.

    Args:
        losses_of: (n, k) losses of n genotypes; less is better.
    """
    kept = [draw_params(space, rng) for _ in range(CHILDREN)]
    for _ in range(GENERATIONS):
        children = [_child(space, rng.choice(kept), rng.choice(kept), rng) for _ in range(CHILDREN)]
        known = {to_digits(space, params) for params in (*kept, *children)}
        everyone = [from_digits(space, digits) for digits in sorted(known)]
        on_front = is_non_dominated(losses_of(everyone))
        kept = [params for params, best in zip(everyone, on_front, strict=True) if best]
    return kept


def _child(space: SearchSpace, mother: Params, father: Params, rng: random.Random) -> Params:
    """Each gene from either parent, a few drawn afresh."""
    child = {gene.name: rng.choice((mother, father))[gene.name] for gene in space.genes}
    for gene in space.genes:
        if rng.random() < CHANGES / len(space.genes):
            child[gene.name] = rng.choice(gene.choices)
    return child
