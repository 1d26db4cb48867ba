"""Two searches that work on one study at the same time."""

from __future__ import annotations

import threading
import uuid
from collections import Counter
from contextlib import suppress

import pytest

from gnv2_nas.search.evaluate import Evaluator
from gnv2_nas.search.loop import BATCH
from tests.search.search_helpers import STORAGE, session
from tests.search.spaces import AT_32
from tests.search.study_helpers import as_optuna

TRIALS = 24


@pytest.mark.parametrize("kind", ["predictor on sqlite", "random on postgresql"])
def test_searches_that_begin_together_share_the_work(folder, request, kind):
    sampler, _, database = kind.partition(" on ")
    server = database == "postgresql"
    storage = request.getfixturevalue("postgres").url if server else STORAGE
    name, scored, reasons = uuid.uuid4().hex, Counter(), []
    in_step = threading.Barrier(2)

    class InStep(Evaluator):
        """Waits for the other search before each batch."""

        def scores(self, architectures, *rest, **more):
            with suppress(threading.BrokenBarrierError):
                in_step.wait(10)
            scored.update(each.id for each in architectures)
            return super().scores(architectures, *rest, **more)

    def search(loop) -> None:
        reasons.append(loop.run())
        in_step.abort()

    loops = []
    for _ in range(2):
        opened = session(folder, storage=storage, study=name, trials=TRIALS, sampler=sampler)
        opened.evaluator.__class__ = InStep
        loops.append(opened.loop())
    threads = [threading.Thread(target=search, args=(loop,)) for loop in loops]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert reasons == ["all trials are done"] * 2
    stored = [each.user_attrs["architecture"] for each in as_optuna(storage, name).trials]
    assert len(set(stored)) == len(stored) == len(scored)
    assert TRIALS + len(AT_32) <= len(stored) <= TRIALS + len(AT_32) + BATCH
    # Both evaluate the stock networks, and perhaps the batch that they begin with.
    assert scored.total() <= len(stored) + len(AT_32) + BATCH
