"""Networks one change away from a given one: what evaluating them tells is what each part costs.

A change is one gene of another value, or one part left out of all blocks of a stage: a single
block weighs too little for most measurements.
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
"""Gene → its value before and after."""


class Variant(msgspec.Struct, frozen=True):
    """A network that differs from another in one thing."""

    values: Changes
    axis: str
    stage: int
    """1 to 5, of the first block it is about; 0 for the whole network."""
    steps: int
    """How many choices the values move, all genes together."""
    params: Mapping[str, Value]
    """The genotype with the change."""
    architecture: Architecture

    @property
    def text(self) -> str:
        """In words: "DFC in stage 4: both → none"."""
        return describe_change(self.values)


def list_variants(space: SearchSpace, params: Mapping[str, Value]) -> list[Variant]:
    """Every network that one change makes of `params`, in the order of the genes.

    Genes that make no difference give none, and changes to the same network are one: the first.

    Raises:
        SpaceError: `params` is no genotype of the space.
    """
    seen = {space.decode(params)}
    changes = []
    for values in [*_single(space, params), *_removals(space, params)]:
        change = _change(space, params, values)
        if change.architecture not in seen:
            seen.add(change.architecture)
            changes.append(change)
    return changes


def _single(space: SearchSpace, params: Mapping[str, Value]) -> Iterator[Changes]:
    for gene in space.genes:
        before = params[gene.name]
        yield from ({gene.name: (before, choice)} for choice in gene.choices if choice != before)


def _removals(space: SearchSpace, params: Mapping[str, Value]) -> Iterator[Changes]:
    """A part left out of several blocks of a stage, where the choices have that."""
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
    """Of the first block the gene is about; 0 for one of the whole network."""
    stages = enumerate(space.template.stages, 1)
    return next(n for n, blocks in stages if gene.blocks[0] in blocks) if gene.place else 0


def _change(space: SearchSpace, params: Mapping[str, Value], values: Changes) -> Variant:
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
    changes: Sequence[Variant], limit: int, rng: random.Random, budgets: Sequence[Budget] = ()
) -> list[Variant]:
    """At most `limit` of `changes` that tell the most, none over a budget that arithmetic checks.

    Every axis comes before any comes twice, then each in proportion to its genes; within an axis
    the stages take turns, and a gene comes again when all have been. What leaves a part out goes
    first, in a whole stage before a block, then the smallest step. Chance decides the rest.
    """
    left = [one for one in changes if keeps_budgets(budgets, count(one.architecture))]
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
