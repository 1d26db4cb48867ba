"""The front measured again, and changes beside it: on the real runtime, as briefly as possible."""

from __future__ import annotations

import pytest

from gnv2_nas.search import confirmation
from gnv2_nas.search.confirmation import confirm_front, evaluate_ablations
from tests.search.search_helpers import BRIEFLY, calibrated, measure_briefly, session


@pytest.fixture
def loop(folder, monkeypatch):
    """A search of three measured networks that has ended."""
    monkeypatch.setattr(confirmation, "CONFIRMING", BRIEFLY)
    measure_briefly(monkeypatch)
    opened = calibrated(session(folder, trials=3, objectives="quality,latency"))
    ended = opened.loop()
    ended.run()
    return ended


def test_the_front_and_changes_are_measured_side_by_side(loop):
    before = dict(loop.trials)
    confirm_front(loop)
    done = loop.store.confirmed("cpu")
    assert {each.number for each in loop.front} <= done
    for number in done:
        old, new = before[number].latency, loop.trials[number].latency
        # Replaced, not pooled: a front that was lucky is not believed any more.
        assert new.taken_at >= old.taken_at
        assert new.ms != old.ms
        assert new.batch not in old.batch
    untouched = before.keys() - done
    assert all(loop.trials[number] == before[number] for number in untouched)
    # The study says the same.
    stored = {each.number: each.latency.ms for each in loop.store.trials()}
    assert stored == {number: each.latency.ms for number, each in loop.trials.items()}

    found = [each for each in loop.trials.values() if each.params]
    base = max(found, key=lambda each: each.quality)
    together = evaluate_ablations(loop, base, 2).together
    changes = [each for each in loop.trials.values() if each.origin == "change"]
    assert len(changes) == 2
    assert {each.number for each in changes} | {base.number} <= together
    assert len({loop.trials[number].latency.batch for number in together}) == 1
    for change in changes:
        differing = [name for name in change.params if change.params[name] != base.params[name]]
        assert differing
        assert change.architecture != base.architecture


def test_what_is_not_measured_needs_no_confirming(folder):
    opened = session(folder, trials=4)
    ended = opened.loop()
    ended.run()
    before = list(ended.trials.values())
    assert ended.front
    confirm_front(ended)
    assert not ended.store.confirmed("cpu")
    assert list(ended.trials.values()) == before
