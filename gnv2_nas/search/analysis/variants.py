"""Variants of a network for an ablation: each differs from it in one thing.

A change is another value of one gene, or one part removed from all blocks of a stage, because a
single block has too small an effect for most measurements.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

import msgspec

from gnv2_nas.arch import Architecture
from gnv2_nas.graph import count
from gnv2_nas.search.study.budgets import Budget, keeps_budgets
from gnv2_nas.space import SearchSpace, Value, describe_change, is_removal
from gnv2_nas.space.genes import Gene

Changes = Mapping[str, tuple[Value, Value]]
"""Gene → (value before, value after)."""


class Variant(msgspec.Struct, frozen=True):
    """A network that differs from another in one thing."""

    values: Changes
    axis: str
    stage: int
    """Stage of the first changed block, from 1; 0 for a change to the whole network."""
    steps: int
    """Number of choices by which the values move, summed over genes."""
    params: Mapping[str, Value]
    """The genotype with the change."""
    architecture: Architecture

    @property
    def text(self) -> str:
        """The change in words: "DFC in stage 4: both → none"."""
        return describe_change(self.values)


def list_variants(space: SearchSpace, params: Mapping[str, Value]) -> list[Variant]:
    """Every network one change away from `params`, in the order of the genes.

    Changes without an effect are left out, and each network appears once.

    Raises:
        SpaceError: `params` is no genotype of the space.
    """
    seen = {space.decode(params)}
    variants = []
    for values in [*_single_changes(space, params), *_removals(space, params)]:
        variant = _make_variant(space, params, values)
        if variant.architecture not in seen:
            seen.add(variant.architecture)
            variants.append(variant)
    return variants


def _single_changes(space: SearchSpace, params: Mapping[str, Value]) -> Iterator[Changes]:
    for gene in space.genes:
        before = params[gene.name]
        yield from ({gene.name: (before, choice)} for choice in gene.choices if choice != before)


def _removals(space: SearchSpace, params: Mapping[str, Value]) -> Iterator[Changes]:
    """Removals of a part from several blocks of a stage, where the choices allow it."""
    for stage in range(1, len(space.template.stages) + 1):
        for axis in dict.fromkeys(gene.axis for gene in space.genes):
            values: dict[str, tuple[Value, Value]] = {}
            for gene in space.genes:
                value = {gene.name: (params[gene.name], gene.choices[0])}
                here = gene.axis == axis and _stage(space, gene) == stage
                if here and params[gene.name] != gene.choices[0] and is_removal(value):
                    values |= value
            if len(values) > 1:
                yield values


def _stage(space: SearchSpace, gene: Gene) -> int:
    """Stage of the first block of a gene; 0 for a gene of the whole network."""
    stages = enumerate(space.template.stages, 1)
    return next(n for n, blocks in stages if gene.blocks[0] in blocks) if gene.place else 0


def _make_variant(space: SearchSpace, params: Mapping[str, Value], values: Changes) -> Variant:
    genes = [gene for gene in space.genes if gene.name in values]
    changed = {**params, **{name: after for name, (_, after) in values.items()}}
    places = [[gene.choices.index(value) for value in values[gene.name]] for gene in genes]
    return Variant(
        values=values,
        axis=genes[0].axis,
        stage=_stage(space, genes[0]),
        steps=sum(abs(after - before) for before, after in places),
        params=changed,
        architecture=space.decode(changed),
    )


def choose_variants(
    variants: Sequence[Variant], limit: int, rng: random.Random, budgets: Sequence[Budget] = ()
) -> list[Variant]:
    """The `limit` most informative variants within the budgets that arithmetic can check.

    Every axis is chosen once before any is chosen twice; then each in proportion to its genes.
    Within an axis the stages take turns, and no gene repeats before all were chosen. Removals come
    first, those from a whole stage before those from a block, then the smallest steps. Ties are
    broken at random.
    """
    left = [one for one in variants if keeps_budgets(budgets, count(one.architecture))]
    rng.shuffle(left)
    genes = Counter(axis for axis, _ in {(one.axis, tuple(one.values)) for one in left})
    used: Counter[object] = Counter()

    def turn(one: Variant) -> tuple[float, ...]:
        again = used[tuple(one.values)] > 0
        stage = used[one.axis, one.stage]
        telling = -len(one.values) if is_removal(one.values) else 0
        return again, used[one.axis] / genes[one.axis], stage, telling, one.steps

    chosen: list[Variant] = []
    while left and len(chosen) < limit:
        best = min(left, key=turn)
        left.remove(best)
        chosen.append(best)
        used.update([best.axis, (best.axis, best.stage), tuple(best.values)])
    return chosen
