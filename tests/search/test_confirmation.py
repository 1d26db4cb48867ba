"""What is done after the search: changes to the recommended network, once."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from gnv2_nas.search.analysis.ablation import find_single_change
from gnv2_nas.search.analysis.recommendation import recommend_among
from gnv2_nas.search.confirmation import confirm_and_ablate
from gnv2_nas.search.pace import Deadline
from tests.search.search_helpers import session
from tests.search.study_helpers import SETTINGS

OBJECTIVES = ("quality", "macs")


def finished(folder, changes=4, **asked):
    """A search with its end; returns its candidates, and what there was no time for."""
    opened = session(folder, trials=6, **asked)
    loop = opened.loop()
    loop.run()
    left_out = confirm_and_ablate(loop, changes)
    return opened.store.trials(), left_out


def changed(candidates):
    return [each for each in candidates if each.origin == "change"]


def test_changes_are_made_to_the_best_network_that_the_space_can_change(folder):
    candidates, left_out = finished(folder)
    assert left_out == []
    # Stock networks outside the space are ten times as large, and one is recommended.
    settings = replace(SETTINGS, objectives=OBJECTIVES, budgets=())
    assert recommend_among(candidates, settings, noise=0.0).recommended.baseline
    bases = [
        each
        for each in candidates
        if all(find_single_change(each, one) is not None for one in changed(candidates))
    ]
    assert len(changed(candidates)) == 4
    assert any(each.origin != "change" and each.params for each in bases)


def test_changes_are_tried_once(folder):
    first, _ = finished(folder)
    # One of them may be the recommended network now: no reason to go on and on.
    assert finished(folder)[0] == first
    # Unless more are asked for.
    assert len(changed(finished(folder, changes=6)[0])) >= 6


@pytest.mark.parametrize("changes", [4, 0])
def test_no_changes_without_time(folder, changes):
    loop = session(folder, trials=6).loop()
    loop.run()
    loop.deadline = Deadline(0.0)
    left_out = confirm_and_ablate(loop, changes)
    said = "skipped the ablation of the recommended network: time limit reached (raise --timeout)"
    assert left_out == [said] * bool(changes)
    assert not changed(loop.store.trials())
