"""Networks drawn so that every choice of every gene comes about equally often."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

from gnv2_nas.arch import Architecture
from gnv2_nas.space import SearchSpace, Value

DRAWS_PER_NETWORK = 10
"""After so many a space is taken to have no more networks."""


def draw_balanced(space: SearchSpace, networks: int, seed: int) -> list[Architecture]:
    """Distinct networks in which every choice of every gene comes about equally often.

    More networks begin with the same ones. Fewer come back where the space has no more.
    """
    found: dict[str, Architecture] = {}
    columns = [
        _balanced(gene.choices, random.Random(f"{seed} {gene.name}")) for gene in space.genes
    ]
    names = [gene.name for gene in space.genes]
    for _ in range(DRAWS_PER_NETWORK * networks):
        params = {name: next(column) for name, column in zip(names, columns, strict=True)}
        arch = space.decode(params)
        found.setdefault(arch.id, arch)
        if len(found) == networks:
            break
    return list(found.values())


def _balanced(choices: Sequence[Value], rng: random.Random) -> Iterator[Value]:
    """All choices in random order, again and again."""
    while True:
        yield from rng.sample(choices, len(choices))
