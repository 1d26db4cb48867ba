"""After the search: is the front one, and what does each part of the recommended network cost?"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any

from gnv2_nas.profiling.protocol import NETWORKS_AT_ONCE
from gnv2_nas.search.loop import SearchLoop
from gnv2_nas.search.neighbours import choose_changes, one_change_neighbours
from gnv2_nas.search.records import Candidate

ROUNDS = 2
"""What is measured again may leave the front, and others come in its place: so often at most."""
THOROUGHLY: dict[str, Any] = {"precision": 0.01, "seconds_per_network": 1.5}


def finish(
    loop: SearchLoop, recommend: Callable[[Sequence[Candidate]], Candidate | None], changes: int
) -> None:
    """Confirm the front, then try changes to its recommended network, and keep what came of it.

    Args:
        recommend: picks the recommended network of a front.
        changes: how many networks to try that differ from it in one thing.
    """
    if not loop.front:
        return
    confirmed = confirm_front(loop)
    recommended = recommend(loop.front)
    if recommended is not None:
        confirmed |= evaluate_changes(loop, recommended, changes)
    loop.store.save_confirmed(sorted(confirmed))


def confirm_front(loop: SearchLoop) -> set[int]:
    """Measure every network of the front again, all in the same rounds.

    Among many networks the one that was lucky looks best: a front is not believed before its
    members were measured side by side, for that purpose. What is measured now replaces what was
    measured before; it is not averaged with it.

    Returns:
        Numbers of the trials that were measured again.
    """
    done: set[int] = set()
    for _ in range(ROUNDS if loop.store.settings.measures else 0):
        if all(candidate.number in done for candidate in loop.front):
            break
        # All of them, the confirmed included: they are compared with each other.
        members = loop.front[:NETWORKS_AT_ONCE]
        loop.report(f"measuring the {len(members)} networks of the front side by side")
        loop.evaluate([], beside=members, **THOROUGHLY)
        done |= {candidate.number for candidate in members}
    return done


def evaluate_changes(loop: SearchLoop, recommended: Candidate, limit: int) -> set[int]:
    """Evaluate networks that differ from `recommended` in one thing, in rounds shared with it.

    The front is measured in the same rounds, so that a change that improves on it is seen to.

    Returns:
        Numbers of the trials that were measured in those rounds.
    """
    space, proposals = loop.space, loop.proposals
    # Its own genotype before another of the same network: else its dead genes would differ as well,
    # and nobody could tell from the study which one thing was changed.
    params = dict(recommended.params) or space.encode(recommended.architecture)
    if params is None or limit < 1:
        return set()
    new = [
        change
        for change in one_change_neighbours(space, params)
        if change.architecture.id not in proposals.seen
    ]
    rng = random.Random(recommended.architecture.id)
    chosen = choose_changes(new, limit, rng, loop.store.settings.budgets)
    if not chosen:
        return set()
    loop.report(f"trying {len(chosen)} changes to the recommended network")
    batch = [proposals.ask_for(dict(change.params), "change") for change in chosen]
    proposals.seen.update(proposal.architecture.id for proposal in batch)
    before = set(loop.candidates)
    others = [each for each in loop.front if each.number != recommended.number]
    beside = [recommended, *others][: max(NETWORKS_AT_ONCE - len(batch), 1)]
    loop.evaluate(batch, beside=beside if loop.store.settings.measures else [], **THOROUGHLY)
    return {each.number for each in beside} | (set(loop.candidates) - before)
