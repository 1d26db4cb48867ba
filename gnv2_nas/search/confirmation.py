"""After the search: is the front one, and what does each part of the recommended network cost?"""

from __future__ import annotations

import random
from collections.abc import Sequence, Set

import msgspec

from gnv2_nas.devices.lock import lock_deadline
from gnv2_nas.errors import OutOfTimeError
from gnv2_nas.measurement.protocol import NETWORKS_AT_ONCE
from gnv2_nas.search.analysis.ablation import find_single_change
from gnv2_nas.search.analysis.baselines import find_measured_stock, select_confirmed, share_rounds
from gnv2_nas.search.analysis.recommendation import pick_recommended
from gnv2_nas.search.analysis.variants import choose_variants, list_variants
from gnv2_nas.search.loop import SearchLoop
from gnv2_nas.search.study.budgets import Params
from gnv2_nas.search.study.records import Trial
from gnv2_nas.search.timetable import CONFIRMING

ROUNDS = 12
"""What is measured again may leave the front, and others come in its place: so often at most."""


def finish(loop: SearchLoop, changes: int) -> list[str]:
    """Confirm the front, then try changes to its recommended network, and keep what came of it.

    What an earlier run has done is not done again.

    Args:
        changes: how many networks to try that differ from it in one thing.

    Returns:
        What the time limit cut short, as sentences.
    """
    left_out = []
    try:
        with lock_deadline(loop.deadline.at):
            confirm_front(loop)
            if _tried_last(loop) < changes and (base := changeable(loop)):
                left_out = _try_changes(loop, base, changes)
    except OutOfTimeError:  # another process measured for as long
        left_out = ["no time was left for changes to the recommended network: the time limit"]
    return [*_unconfirmed(loop), *left_out]


def _unconfirmed(loop: SearchLoop) -> list[str]:
    members = [each for each in loop.front if each.latency is not None]
    confirmed = len(select_confirmed(members, loop.store.confirmed()))
    if confirmed == len(members) or not loop.store.settings.measures:
        return []
    why = "the time limit" if _fitting(loop, len(members)) < 2 else "it went on changing"
    return [f"confirmed {confirmed} of the {len(members)} networks on the front: {why}"]


def confirm_front(loop: SearchLoop, beside: Set[int] = frozenset()) -> None:
    """Measure every network of the front again, all in the same rounds.

    Among many networks the one that was lucky looks best: a front is not believed before its
    members were measured side by side, for that purpose. What is measured now replaces what was
    measured before; it is not averaged with it. Who comes onto the front by it, or later, is
    measured again as well. The recommended network and stock GhostNetV2 1.0 share the last of
    these measurements: they are compared without the errors that differ between two.

    Args:
        beside: numbers of trials that are measured in the same rounds, where there is room, so
            that what was compared stays comparable.
    """
    if not loop.store.settings.measures:
        return
    # All of them, the confirmed included: they are compared with each other.
    for _ in range(ROUNDS):
        confirmed = set(loop.store.confirmed())
        again = {each.number for each in select_confirmed(loop.front, confirmed)}
        new = [each for each in loop.front if each.number not in again]
        pair = _to_compare(loop)
        if not new and (len(pair) < 2 or share_rounds(*pair)):
            return
        old = [each for each in loop.front if each.number in again]
        others = [loop.trials[number] for number in sorted(beside)]
        members = list({each.number: each for each in (*pair, *new, *old, *others)}.values())
        fitting = _fitting(loop, min(len(members), NETWORKS_AT_ONCE))
        if fitting < min(2, len(members)):
            return
        members = members[:fitting]
        loop.report(f"measuring {len(members)} networks of the front and stock side by side")
        loop.evaluate([], beside=members, deadline=loop.deadline, options=CONFIRMING)
        loop.store.save_confirmed(sorted(confirmed | {each.number for each in members}))


def _to_compare(loop: SearchLoop) -> list[Trial]:
    """The recommended network and the stock network, which may be one."""
    pair = _recommend(loop, loop.front), find_measured_stock(loop.trials.values())
    return [each for each in pair if each is not None and each.latency is not None]


def _fitting(loop: SearchLoop, wanted: int) -> int:
    """How many networks can be measured again in the time that is left."""
    while wanted and not loop.deadline.allows(loop.evaluator.pace.measuring(wanted)):
        wanted -= 1
    return wanted


def _try_changes(loop: SearchLoop, base: Trial, changes: int) -> list[str]:
    """Try as many changes as there is time for; returns what was left out."""
    pace, measures = loop.evaluator.pace, loop.store.settings.measures
    beside = len(loop.front) + 1 if measures else 0

    def cost(count: int) -> float:
        timing = pace.measuring(count + beside, CONFIRMING.seconds_per_network) + pace.measuring(
            beside
        )
        return pace.scoring(count) + timing * measures

    fitting = changes
    while fitting and (loop.deadline.is_over or not loop.deadline.allows(cost(fitting))):
        fitting -= 1
    tried = evaluate_changes(loop, base, fitting)
    confirm_front(loop, tried.together)
    if fitting == changes and tried.evaluated == tried.chosen:
        return []
    if not tried.evaluated:
        return ["no time was left to try changes to the recommended network: the time limit"]
    return [
        f"tried {tried.evaluated} of {changes} changes to the recommended network: the time limit"
    ]


def changeable(loop: SearchLoop) -> Trial | None:
    """The recommended network, or the best of the front that the space can change.

    A stock network may lie outside the space.
    """
    recommended = _recommend(loop, loop.front)
    if recommended is None or _genotype(loop, recommended):
        return recommended
    return _recommend(loop, [each for each in loop.front if _genotype(loop, each)])


def _recommend(loop: SearchLoop, members: Sequence[Trial]) -> Trial | None:
    return pick_recommended(members, loop.store.settings.objectives)


def _genotype(loop: SearchLoop, candidate: Trial) -> Params | None:
    # Its own before another of the same network: else its dead genes would differ as well, and
    # nobody could tell from the study which one thing was changed.
    return dict(candidate.params) or loop.space.encode(candidate.architecture)


class Tried(msgspec.Struct, frozen=True):
    """Changes to a network that were tried."""

    chosen: int = 0
    evaluated: int = 0
    together: frozenset[int] = frozenset()
    """Numbers of the trials that were measured in the same rounds."""


def evaluate_changes(loop: SearchLoop, recommended: Trial, limit: int) -> Tried:
    """Evaluate networks that differ from `recommended` in one thing, in rounds shared with it.

    The front is measured in the same rounds, so that a change that improves on it is seen to, and
    stock GhostNetV2 1.0.
    """
    space, proposals = loop.space, loop.proposals
    params = _genotype(loop, recommended)
    limit -= _tried_already(loop, recommended)
    if params is None or limit < 1:
        return Tried()
    new = [
        change
        for change in list_variants(space, params)
        if change.architecture.id not in proposals.seen
    ]
    rng = random.Random(recommended.architecture.id)
    chosen = choose_variants(new, limit, rng, loop.store.settings.budgets)
    if not chosen:
        return Tried()
    loop.report(f"trying {len(chosen)} changes to the recommended network")
    batch = [proposals.ask_for(dict(change.params), "change") for change in chosen]
    proposals.seen.update(proposal.architecture.id for proposal in batch)
    before = set(loop.trials)
    if not loop.store.settings.measures:
        return Tried(len(batch), loop.evaluate(batch, deadline=loop.deadline))
    stock = find_measured_stock(loop.trials.values())
    others = [recommended, *([stock] if stock else []), *loop.front]
    beside = list({each.number: each for each in others}.values())
    beside = beside[: max(NETWORKS_AT_ONCE - len(batch), 2)]
    evaluated = loop.evaluate(batch, beside=beside, deadline=loop.deadline, options=CONFIRMING)
    together = {each.number for each in beside} | (set(loop.trials) - before)
    return Tried(len(batch), evaluated, frozenset(together))


def _tried_last(loop: SearchLoop) -> int:
    """Changes evaluated since the newest network of the search itself."""
    origins = [loop.trials[number].origin for number in sorted(loop.trials)]
    return next((n for n, origin in enumerate(reversed(origins)) if origin != "change"), 0)


def _tried_already(loop: SearchLoop, base: Trial) -> int:
    """Changes to `base` that an earlier run, or another process, has evaluated."""
    changes = [each for each in loop.trials.values() if each.origin == "change"]
    return sum(find_single_change(base, each) is not None for each in changes)
