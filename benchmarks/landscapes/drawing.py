"""Random genotypes that reach the corners of a space, where a search ends up.

Uniform genotypes are all alike: with forty genes the mean over blocks hardly varies. A truth fitted
to those alone would be a guess wherever a search goes.
"""

from __future__ import annotations

import random

from gnv2_nas.space import SearchSpace
from gnv2_nas.space.genes import Value

Params = dict[str, Value]

UNIFORM_SHARE = 0.2
"""Of the genotypes; the others are tilted."""
SPREAD = 0.3
"""Standard deviation of a gene around the level of its axis, in parts of its range of choices."""


def draw_params(space: SearchSpace, rng: random.Random) -> Params:
    """A genotype: uniform, or every axis at a level of its own from smallest to largest."""
    if rng.random() < UNIFORM_SHARE:
        return dict(space.sample_params(rng))
    levels = {gene.axis: rng.betavariate(0.6, 0.6) for gene in space.genes}
    params: Params = {}
    for gene in space.genes:
        position = rng.gauss(levels[gene.axis], SPREAD) * len(gene.choices)
        params[gene.name] = gene.choices[min(max(int(position), 0), len(gene.choices) - 1)]
    return params


def to_digits(space: SearchSpace, params: Params) -> str:
    """A genotype as text: the position of each gene's choice, one digit a gene."""
    return "".join(str(gene.choices.index(params[gene.name])) for gene in space.genes)


def from_digits(space: SearchSpace, digits: str) -> Params:
    """The genotype that `to_digits` wrote."""
    pairs = zip(space.genes, digits, strict=True)
    return {gene.name: gene.choices[int(digit)] for gene, digit in pairs}
