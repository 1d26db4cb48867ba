"""What arithmetic tells `PredictorSampler` of a genotype."""

from __future__ import annotations

import random

import numpy as np
import optuna
import pytest

from gnv2_nas.graph import count
from gnv2_nas.search.sampler.encoders import CachedEncoder, GraphEncoder
from gnv2_nas.search.sampler.grid import Grid
from gnv2_nas.search.sampler.predictor_sampler import PredictorSampler
from gnv2_nas.search.study.budgets import excesses, parse_budgets
from gnv2_nas.search.study.metrics import Counted
from gnv2_nas.space import load_space
from tests.search.spaces import genotypes, space_of

OBJECTIVES = ("quality", "macs", "params")
BUDGETS = parse_budgets(["1MFLOPs", "2ms"])


@pytest.fixture(scope="module")
def known(small):
    return GraphEncoder(small, BUDGETS, OBJECTIVES, set())


def test_outcomes_that_arithmetic_knows_are_exact(small, known):
    params = genotypes(small)[::40]
    told = known.encode(params)
    counts = [count(small.decode(one)) for one in params]
    assert told.values.keys() == {1, 2}
    assert told.values[1].tolist() == [each.macs for each in counts]
    assert told.values[2].tolist() == [each.params for each in counts]
    # A budget in milliseconds is nothing that arithmetic knows.
    assert told.constraints.keys() == {"macs"}
    assert told.constraints["macs"].tolist() == [each.macs / 1e6 - 1 for each in counts]


@pytest.mark.parametrize("space", ["ghostnetv2", "mobile"])
def test_features_have_groups_and_usual_sizes(space):
    space = load_space(space)
    known = GraphEncoder(space, (), ("quality", "latency"), set())
    rng = random.Random(1)
    # Drawn like the networks that say what is usual.
    rows = known.encode([_drawn(space, rng) for _ in range(24)]).features
    assert np.isfinite(rows).all()
    assert np.abs(rows).mean() < 1.2
    used = set()
    for each in known.feature_sets:
        assert sorted(set(each.groups.tolist())) == list(range(each.groups.max() + 1))
        assert each.columns.shape == each.groups.shape
        used |= set(each.columns.tolist())
    assert used == set(range(rows.shape[1]))


def _drawn(space, rng):
    return {gene.name: rng.choice(gene.choices) for gene in space.genes}


def test_a_network_that_was_evaluated_is_not_new_under_another_genotype(tmp_path):
    # On maps of one pixel the last stage's kernels are all the same.
    space = space_of(tmp_path, """\
base: ghostnetv2-1.0
axes:
  resolution: {choices: [32]}
  width: {choices: [0.1, 0.2]}
  dfc_kernel_h: {per: stage, choices: [5], overrides: {stage5: [1, 3, 5, 7]}}
""")  # fmt: skip
    seen: set[str] = set()
    known = GraphEncoder(space, (), OBJECTIVES, seen)
    first, second, *_, other = genotypes(space)
    assert known.is_new(second)
    seen.add(space.decode(first).id)
    assert not known.is_new(second)
    assert known.is_new(other)


def test_what_is_remembered_is_what_was_described(small, known):
    grid = Grid({gene.name: optuna.distributions.CategoricalDistribution(gene.choices)
                 for gene in small.genes if len(gene.choices) > 1})  # fmt: skip
    remembered = CachedEncoder(grid, known)
    levels = grid.levels(genotypes(small)[::50])
    for rows in (levels[:3], levels, levels[[1, 1]], levels[:0]):
        told = remembered.encode(rows)
        wanted = known.encode([grid.params(row) for row in rows]) if len(rows) else None
        assert len(told.features) == len(rows)
        if wanted is not None:
            assert np.array_equal(told.features, wanted.features)
            assert np.array_equal(told.values[1], wanted.values[1])
            assert np.array_equal(told.constraints["macs"], wanted.constraints["macs"])
    remembered.keep_only(levels[:1])
    assert np.array_equal(remembered.encode(levels).values[2], [
        count(small.decode(grid.params(row))).params for row in levels])  # fmt: skip


def test_an_exact_outcome_is_expected_exactly_and_an_exact_budget_is_kept(small):
    macs = sorted(count(small.decode(params)).macs for params in genotypes(small))
    budgets = parse_budgets([f"{macs[len(macs) // 3]}FLOPs"])
    seen: set[str] = set()
    encoder = GraphEncoder(small, budgets, ("quality", "macs"), seen)
    sampler = PredictorSampler(seed=0, startup_trials=10, encoder=encoder)
    study = optuna.create_study(directions=["maximize", "minimize"], sampler=sampler)
    broken = 0
    for number in range(34):
        trial = study.ask()
        network = small.decode(small_params(small, trial))
        found = count(network)
        expected = sampler.expected(number)
        excess = excesses(budgets, Counted(found))
        if number >= 10:
            assert expected is not None
            assert (expected.means[1], expected.stds[1]) == (found.macs, 0)
            assert network.id not in seen
            broken += max(excess.values()) > 0
        seen.add(network.id)
        for metric, value in excess.items():
            trial.set_constraint(metric, value)
        study.tell(trial, [found.params / 1e6, found.macs])
    assert broken == 0


def small_params(space, trial):
    for gene in space.genes:
        trial.suggest_categorical(gene.name, gene.choices)
    return trial.params
