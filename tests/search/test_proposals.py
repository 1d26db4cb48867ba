"""Proposals: new networks within every budget that arithmetic can check, and an end."""

from __future__ import annotations

import pytest

from gnv2_nas.graph import count
from tests.search.sampler.proposal_helpers import QUICK_SAMPLERS, answer, ask, proposals
from tests.search.spaces import genotypes, space_of


def counts_of(space):
    return [count(space.decode(params)) for params in genotypes(space)]


@pytest.mark.parametrize("sampler", QUICK_SAMPLERS)
def test_every_network_of_a_small_space_is_proposed_once(six, sampler):
    found = ask(proposals(six, sampler), 6)
    every = {six.decode(params).id for params in genotypes(six)}
    assert len(every) == 6
    assert sorted(each.architecture.id for each in found) == sorted(every)


def test_a_space_that_is_used_up_is_noticed(six):
    asked = proposals(six)
    assert len(ask(asked, 7)) == 6
    assert asked.ask() is None
    assert asked.proposed == 6 + asked.duplicates
    assert asked.rejected == 0


def test_genotypes_of_one_network_are_one_proposal(tmp_path):
    # On maps of one pixel the last stage's kernels are all the same.
    space = space_of(tmp_path, """\
base: ghostnetv2-1.0
axes:
  resolution: {choices: [32]}
  width: {choices: [0.1]}
  dfc_kernel_h: {per: stage, choices: [5], overrides: {stage5: [1, 3, 5, 7]}}
  divisor: {choices: [4, 8]}
""")  # fmt: skip
    assert space.size == 8
    assert len(ask(proposals(space), 100)) == 2


@pytest.mark.parametrize("sampler", QUICK_SAMPLERS)
def test_proposals_keep_the_budgets_and_never_repeat(small, sampler):
    known = counts_of(small)
    macs = sorted(each.macs for each in known)[len(known) // 3]
    params = sorted(each.params for each in known)[len(known) // 3]
    asked = proposals(small, sampler, f"{macs}FLOPs", f"{params}params")
    found = ask(asked, 20)
    assert len(found) == 20
    assert len({each.architecture.id for each in found}) == 20
    for each in found:
        assert each.counts == count(each.architecture)
        assert each.counts.macs <= macs
        assert each.counts.params <= params
        assert small.decode(each.params) == each.architecture
    assert asked.rejected > 0
    assert asked.proposed == 20 + asked.rejected + asked.duplicates


@pytest.mark.parametrize("sampler", QUICK_SAMPLERS)
def test_a_budget_that_only_the_smallest_networks_keep_is_met(small, sampler):
    limit = sorted({each.macs for each in counts_of(small)})[2]
    found = ask(proposals(small, sampler, f"{limit}FLOPs", seed=1), 2)
    assert len(found) == 2
    assert all(each.counts.macs <= limit for each in found)


def test_it_ends_when_no_network_within_the_budget_is_new(small):
    limit = min(each.macs for each in counts_of(small))
    (found,) = ask(proposals(small, "random", f"{limit}FLOPs"), 5)
    assert found.counts.macs == limit


def test_what_was_evaluated_before_is_not_proposed(six):
    known = [six.decode(params).id for params in genotypes(six)]
    found = ask(proposals(six, seen=known[:4]), 100)
    assert sorted(each.architecture.id for each in found) == sorted(known[4:])
    assert proposals(six, seen=known).ask() is None


def test_a_space_of_one_network(tmp_path):
    space = space_of(tmp_path, "base: ghostnetv2-1.0\naxes: {resolution: {choices: [32]}}\n")
    found = ask(proposals(space), 5)
    assert [each.architecture for each in found] == [space.decode({})]


def test_a_genotype_can_be_asked_for(small):
    asked = proposals(small)
    params = small.centre()
    proposal = asked.ask_for(params, "change")
    assert proposal.origin == "change"
    assert proposal.architecture == small.decode(params)
    assert proposal.params == params


def test_the_finished_trial_carries_genotype_values_and_constraints(small):
    asked = proposals(small, "random", "1MFLOPs", "1Mparams")
    proposal = asked.ask()
    trial = answer(asked, proposal)
    assert trial.sampled.params == trial.params == proposal.params
    assert trial.sampled.values == [proposal.counts.params / 1e6, proposal.counts.macs]
    assert trial.sampled.constraints == {
        "macs": pytest.approx(proposal.counts.macs / 1e6 - 1),
        "params": pytest.approx(proposal.counts.params / 1e6 - 1),
    }
