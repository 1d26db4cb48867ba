"""The contract of samplers, as a search uses them."""

from __future__ import annotations

import pytest
from optuna.samplers import NSGAIISampler, RandomSampler
from optuna.trial import create_trial

from gnv2_nas.arch import preset
from gnv2_nas.errors import UnknownNameError
from gnv2_nas.graph import count
from gnv2_nas.search.sampler.factory import check_sampler, make_sampler
from gnv2_nas.search.study import defaults
from gnv2_nas.search.study.records import Trial
from tests.search.sampler.proposal_helpers import QUICK_SAMPLERS, answer, ask, proposals
from tests.search.spaces import genotypes


def ids(found):
    return [each.architecture.id for each in found]


OUTSIDE = Trial(
    architecture=preset("ghostnetv2-1.0"), counts=count(preset("ghostnetv2-1.0")),
    sampled=create_trial(values=[4.8, 6.5e6]),
)  # fmt: skip
"""A stock network outside the space, which has no genotype."""


@pytest.mark.parametrize("name", QUICK_SAMPLERS)
def test_the_seed_decides_the_proposals(small, name):
    one, same, other = (ids(ask(proposals(small, name, seed=seed), 14)) for seed in (1, 1, 2))
    assert one == same
    assert one != other


@pytest.mark.parametrize("name", QUICK_SAMPLERS)
def test_it_goes_on_from_finished_trials(small, name):
    asked = proposals(small, name, "0.5MFLOPs")
    past = [answer(asked, asked.ask()) for _ in range(26)]
    seen = {small.decode(trial.params).id for trial in past}
    past.insert(0, OUTSIDE)
    going_on = proposals(small, name, "0.5MFLOPs", seed=len(past), past=past, seen=list(seen))
    found = ask(going_on, 10)
    assert len(found) == 10
    assert not seen & set(ids(found))


@pytest.mark.parametrize(("name", "asks"), [("tpe", 20), ("nsga2", 45)])
def test_it_learns_what_breaks_a_budget(small, name, asks):
    limit = sorted(count(small.decode(params)).macs for params in genotypes(small))[60]

    def share_turned_down(sampler):
        asked = proposals(small, sampler, f"{limit}FLOPs")
        assert len(ask(asked, asks)) == asks
        return asked.rejected / asked.proposed

    assert share_turned_down(name) < 0.85 * share_turned_down("random")


def test_after_a_break_every_gene_is_still_bred(small):
    """A trial without genotype must not empty what NSGA-II crosses: it would fall back to chance
    and never say so."""

    class Watched(NSGAIISampler):
        bred: list[set[str]]

        def sample_relative(self, study, trial, search_space):
            self.bred.append(set(search_space))
            return super().sample_relative(study, trial, search_space)

    before = proposals(small)
    past = [OUTSIDE] * 3 + [answer(before, before.ask()) for _ in range(30)]
    watched = Watched(seed=5, population_size=8)
    watched.bred = []
    assert ask(proposals(small, watched, past=past), 3)
    assert all(names == {gene.name for gene in small.genes} for names in watched.bred)
    assert watched.bred


def test_constraints_of_earlier_versions_get_the_key_of_their_metric(small):
    """They were named by the text of the budget, and once by their place in a list."""
    before = proposals(small, "random", "1MFLOPs")
    past = [answer(before, before.ask()) for _ in range(3)]
    for trial, attributes in zip(
        past, ({"constraints:1MFLOPs": -0.5}, {"constraints": [-0.5]}, {}), strict=True
    ):
        trial.sampled.system_attrs.clear()
        trial.sampled.system_attrs.update(attributes)
    told = []

    class Watched(RandomSampler):
        def before_trial(self, study, trial):  # noqa: ARG002
            finished = [each for each in study.get_trials() if each.state.is_finished()]
            told[:] = [each.constraints for each in finished]

    proposals(small, Watched(seed=0), "0.001GFLOPs", past=past).ask()
    assert told[:3] == [{"macs": pytest.approx(each.counts.macs / 1e6 - 1)} for each in past]


def test_a_gaussian_process_of_optuna_can_be_had(small):
    assert len(set(ids(ask(proposals(small, "gp"), 12)))) == 12


def test_an_unknown_sampler_is_answered_with_the_known_ones():
    with pytest.raises(UnknownNameError, match=r"unknown sampler 'nsga3'; did you mean 'nsga2'"):
        make_sampler("nsga3", 0)
    assert check_sampler(defaults.SAMPLER) == defaults.SAMPLER
