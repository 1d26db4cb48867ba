"""Searches from beginning to end, and going on with them."""

from __future__ import annotations

import warnings

import pytest
import torch

from gnv2_nas.errors import InfeasibleBudgetError
from gnv2_nas.nn import build_model
from gnv2_nas.search.analysis.convergence import MIN_EVALUATIONS
from gnv2_nas.search.analysis.pareto import study_front
from gnv2_nas.search.engine import ScoringFailure
from gnv2_nas.search.evaluate import Evaluator
from gnv2_nas.search.loop import BATCH
from tests.search.sampler.proposal_helpers import QUICK_SAMPLERS
from tests.search.search_helpers import calibrated, measure_briefly, searched, session
from tests.search.spaces import AT_32, SIX, WITH_STOCK, genotypes

with warnings.catch_warnings():
    # It scripts functions at import, which newer torch calls deprecated.
    warnings.simplefilter("ignore")
    from fvcore.nn import FlopCountAnalysis
    from fvcore.nn.jit_handles import addmm_flop_jit, conv_flop_jit, linear_flop_jit

STOCK = len(AT_32)


def found(record):
    return [each for each in record.trials if not each.baseline]


@pytest.mark.parametrize("sampler", QUICK_SAMPLERS)
def test_going_on_evaluates_what_is_missing_and_nothing_twice(folder, sampler):
    first = searched(folder, trials=5, sampler=sampler).store.record()
    assert len(found(first)) == 5
    for trials in (9, 9, 3, 14):
        opened = session(folder, trials=trials, sampler=sampler)
        assert opened.resumed
        assert opened.loop().run() == "all trials are done"
    record = opened.store.record()
    assert record.trials[: len(first.trials)] == first.trials
    assert len(found(record)) == 14
    assert [each.number for each in record.trials] == list(range(14 + STOCK))
    assert len({each.architecture.id for each in record.trials}) == 14 + STOCK
    assert sorted(each.baseline for each in record.trials if each.baseline) == AT_32
    assert record.progress.proposed == 14 + record.progress.rejected + record.progress.duplicates


def test_the_seed_decides_what_is_found(folder):
    def networks(study, seed):
        record = searched(folder, study=study, seed=seed).store.record()
        return [each.architecture for each in found(record)]

    assert networks("a", 1) == networks("b", 1) != networks("c", 2)


def test_a_space_that_is_used_up_ends_the_search(folder):
    opened = session(folder, SIX, trials=50)
    assert opened.loop().run() == "the space has no new network within the budgets"
    assert len(found(opened.store.record())) == len(genotypes(opened.checked.space))


def test_stock_networks_of_the_space_are_not_found_again(folder):
    record = searched(folder, WITH_STOCK, trials=12).store.record()
    ids = [each.architecture.id for each in record.trials]
    assert len(set(ids)) == len(ids)


def test_time_that_is_up_ends_the_search_and_keeps_what_there_is(folder):
    opened = session(folder, timeout=1e-6, trials=50)
    assert opened.loop().run() == "time is up"
    # The stock network that all are compared with.
    assert [each.baseline for each in opened.store.trials()] == ["ghostnetv2-1.0 at 32 px"]
    # The others are no loss: who goes on with more time has them.
    again = session(folder, trials=4)
    assert again.loop().run() == "all trials are done"
    assert sum(bool(each.baseline) for each in again.store.trials()) == STOCK


def test_a_front_that_no_longer_grows_ends_the_search_if_asked(folder):
    opened = session(folder, trials=280, sampler="random", stop_when_flat=True)
    assert opened.loop().run() == "the front grew by less than 0.5% in 64 networks"
    number = len(opened.store.record().trials)
    assert MIN_EVALUATIONS <= number < 280
    # Not asked, it goes on.
    again = session(folder, trials=number - STOCK + 1, sampler="random")
    assert again.loop().run() == "all trials are done"


def test_the_status_counts_up_to_what_is_stored(folder):
    budgets = ("0.4MFLOPs",)
    searched(folder, trials=4, budgets=budgets)
    opened = session(folder, trials=20, budgets=budgets)
    seen = []
    opened.events = lambda event: seen.append(event.status)
    opened.loop().run()
    record = opened.store.record()
    assert seen[0].evaluated == 4
    assert [each.evaluated for each in seen] == sorted(each.evaluated for each in seen)
    assert {each.wanted for each in seen} == {20}
    last = seen[-1]
    assert last.evaluated == last.feasible == 20
    assert (last.proposed, last.rejected) == (record.progress.proposed, record.progress.rejected)
    assert last.rejected > 0
    assert seen[0].seconds_left is None
    assert last.seconds_left >= 0
    assert last.best.quality == max(each.quality for each in record.trials if each.feasible)
    assert 1 <= last.front <= len(record.trials)


class Unscored(Evaluator):
    """Every worker dies."""

    def scores(self, architectures, *_, **__):
        return [ScoringFailure("out of memory")] * len(architectures)


def test_a_search_that_can_no_longer_score_ends(folder):
    opened = session(folder, trials=50)
    opened.evaluator.__class__ = Unscored
    loop = opened.loop()
    assert loop.run() == "networks can no longer be scored: out of memory"
    assert len(loop.failed) == BATCH
    assert not found(opened.store.record())


def test_an_impossible_latency_ends_before_the_first_trial_and_locks_no_name(folder, monkeypatch):
    measure_briefly(monkeypatch)
    opened = calibrated(session(folder, budgets=("1us",), objectives="quality,latency"))
    with pytest.raises(InfeasibleBudgetError) as caught:
        opened.corners()
    message = str(caught.value)
    assert message.startswith("no network of space 'small' can meet 1us; nearest is ")
    assert " ms, its smallest network on 'cpu': raise the budget" in message
    again = session(folder, budgets=("1s",), objectives="quality,latency")
    assert [budget.text for budget in again.store.settings.budgets] == ["1s"]


def test_without_a_latency_nothing_is_measured(folder):
    opened = session(folder)
    assert [corner.latencies for corner in opened.corners()] == [{}] * 3
    assert not (folder / "profiles").exists()


def fvcore_macs(arch):
    """By fvcore on the built module: convolutions and linear layers, the papers' convention."""
    side = arch.resolution
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        analysis = FlopCountAnalysis(build_model(arch).eval(), torch.zeros(1, 3, side, side))
        analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False)
        handles = {"aten::_convolution": conv_flop_jit, "aten::linear": linear_flop_jit}
        analysis.clear_op_handles().set_op_handle(**handles, **{"aten::addmm": addmm_flop_jit})
        return analysis.total()


def test_no_network_on_the_front_breaks_a_budget_when_fvcore_counts_it(folder):
    record = searched(folder, trials=6, budgets=("0.5MFLOPs", "0.3Mparams")).store.record()
    members = study_front(record)
    assert len(members) >= 3
    for each in members:
        assert fvcore_macs(each.architecture) == each.counts.macs <= 0.5e6
        parameters = build_model(each.architecture).parameters()
        assert sum(p.numel() for p in parameters) == each.counts.params <= 0.3e6
    # The budgets cut the space: without them larger networks would be there.
    assert any(not each.feasible for each in record.trials)
