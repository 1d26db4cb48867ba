"""Random networks that differ from each other, as those that a search ends at do."""

from __future__ import annotations

import random

from gnv2_nas.space import SearchSpace, Value


def varied_params(space: SearchSpace, rng: random.Random) -> dict[str, Value]:
    """A random genotype: genes of one axis lean to one level.

    With every gene drawn for itself, the dozens that a space has average out: all networks have
    middling kernels, middling expansions and attention in half of their blocks (the central limit).
    Here each axis has a level between its smallest and its largest choice, and each gene takes that
    of its axis or is drawn for itself; how many do is drawn for each network.
    """
    following = rng.random()
    levels: dict[str, float] = {}
    params: dict[str, Value] = {}
    for gene in space.genes:
        level = levels.setdefault(gene.axis, rng.random())
        place = level if rng.random() < following else rng.random()
        params[gene.name] = gene.choices[int(place * len(gene.choices))]
    return params
