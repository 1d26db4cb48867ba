"""After the search: is the front one, and what does each part of the recommended network cost?"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any

from gnv2_nas.profiling.protocol import NETWORKS_AT_ONCE
from gnv2_nas.search.budgets import Params
from gnv2_nas.search.effects import change_between
from gnv2_nas.search.loop import SearchLoop
from gnv2_nas.search.neighbours import choose_changes, one_change_neighbours
from gnv2_nas.search.records import Candidate

ROUNDS = 2
"""What is measured again may leave the front, and others come in its place: so often even when the
time is up, and until every member was measured again while there is time."""
THOROUGHLY: dict[str, Any] = {"precision": 0.02, "seconds_per_network": 1.5}


Recommend = Callable[[Sequence[Candidate]], Candidate | None]
"""Picks the recommended network of a front."""


def finish(loop: SearchLoop, recommend: Recommend, changes: int) -> bool:
    """Confirm the front, then try changes to its recommended network, and keep what came of it.

    What an earlier run has done is not done again.

    Args:
        changes: how many networks to try that differ from it in one thing.

    Returns:
        Whether there was time enough for the changes.
    """
    confirmed = set(loop.store.confirmed())
    if not {each.number for each in loop.front} <= confirmed:
        confirmed = confirm_front(loop)
        loop.store.save_confirmed(sorted(confirmed))
    if loop.elapsed >= loop.timeout:
        return changes == 0
    if _tried_last(loop) < changes and (base := changeable(loop, recommend)):
        together = evaluate_changes(loop, base, changes)
        confirmed = _with_the_returned(loop, confirmed | together, together)
        loop.store.save_confirmed(sorted(confirmed))
    return True


def _with_the_returned(loop: SearchLoop, confirmed: set[int], together: set[int]) -> set[int]:
    """`confirmed`, and those who came back to the front when it was measured with the changes.

    They are measured side by side with all of those, so that what was compared stays comparable.
    """
    for _ in range(ROUNDS):
        on_front = {each.number for each in loop.front}
        measures = loop.store.settings.measures and loop.elapsed < loop.timeout
        if on_front <= confirmed or not measures:
            break
        numbers = [*on_front, *sorted(together - on_front)][:NETWORKS_AT_ONCE]
        loop.evaluate([], beside=[loop.candidates[number] for number in numbers], **THOROUGHLY)
        confirmed = confirmed | set(numbers)
    return confirmed


def changeable(loop: SearchLoop, recommend: Recommend) -> Candidate | None:
    """The recommended network, or the best of the front that the space can change.

    A stock network may lie outside the space.
    """
    recommended = recommend(loop.front)
    if recommended is None or _genotype(loop, recommended):
        return recommended
    return recommend([each for each in loop.front if _genotype(loop, each)])


def _genotype(loop: SearchLoop, candidate: Candidate) -> Params | None:
    # Its own before another of the same network: else its dead genes would differ as well, and
    # nobody could tell from the study which one thing was changed.
    return dict(candidate.params) or loop.space.encode(candidate.architecture)


def confirm_front(loop: SearchLoop) -> set[int]:
    """Measure every network of the front again, all in the same rounds.

    Among many networks the one that was lucky looks best: a front is not believed before its
    members were measured side by side, for that purpose. What is measured now replaces what was
    measured before; it is not averaged with it.

    Returns:
        Numbers of the trials that were measured again.
    """
    done: set[int] = set()
    if not loop.store.settings.measures:
        return done
    rounds = 0
    # Ends: each round confirms one network more, at least.
    while new := [candidate for candidate in loop.front if candidate.number not in done]:
        if rounds >= ROUNDS and loop.elapsed >= loop.timeout:
            break
        # All of them, the confirmed included: they are compared with each other.
        old = [candidate for candidate in loop.front if candidate.number in done]
        members = [*new, *old][:NETWORKS_AT_ONCE]
        loop.report(f"measuring the {len(members)} networks of the front side by side")
        loop.evaluate([], beside=members, **THOROUGHLY)
        done |= {candidate.number for candidate in members}
        rounds += 1
    return done


def evaluate_changes(loop: SearchLoop, recommended: Candidate, limit: int) -> set[int]:
    """Evaluate networks that differ from `recommended` in one thing, in rounds shared with it.

    The front is measured in the same rounds, so that a change that improves on it is seen to.

    Returns:
        Numbers of the trials that were measured in those rounds.
    """
    space, proposals = loop.space, loop.proposals
    params = _genotype(loop, recommended)
    limit -= _tried_already(loop, recommended)
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
    if not loop.store.settings.measures:
        loop.evaluate(batch)
        return set()
    loop.evaluate(batch, beside=beside, **THOROUGHLY)
    return {each.number for each in beside} | (set(loop.candidates) - before)


def _tried_last(loop: SearchLoop) -> int:
    """Changes evaluated since the newest network of the search itself."""
    origins = [loop.candidates[number].origin for number in sorted(loop.candidates)]
    return next((n for n, origin in enumerate(reversed(origins)) if origin != "change"), 0)


def _tried_already(loop: SearchLoop, base: Candidate) -> int:
    """Changes to `base` that an earlier run, or another process, has evaluated."""
    changes = [each for each in loop.candidates.values() if each.origin == "change"]
    return sum(change_between(base, each) is not None for each in changes)
