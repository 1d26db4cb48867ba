"""After the search: confirm the front side by side, then ablate the recommended network."""

from __future__ import annotations

import random
from collections.abc import Sequence, Set
from itertools import pairwise

import msgspec

from gnv2_nas.errors import OutOfTimeError
from gnv2_nas.measurement.protocol import NETWORKS_AT_ONCE
from gnv2_nas.runner.lock import lock_deadline
from gnv2_nas.search.analysis.ablation import find_single_change
from gnv2_nas.search.analysis.baselines import select_confirmed, share_rounds
from gnv2_nas.search.analysis.pareto import joint_front
from gnv2_nas.search.analysis.recommendation import Recommendation, recommend_among
from gnv2_nas.search.analysis.variants import choose_variants, list_variants
from gnv2_nas.search.loop import SearchLoop
from gnv2_nas.search.study.budgets import Params
from gnv2_nas.search.study.records import Trial
from gnv2_nas.search.study.settings import Settings
from gnv2_nas.search.timetable import CONFIRMING

MAX_ROUNDS = 12
"""Measurements of the front at most: each may change its members."""
TIME_LIMIT = "time limit reached (raise --timeout)"


def confirm_and_ablate(loop: SearchLoop, ablations: int) -> list[str]:
    """Confirm the front, then evaluate single changes to its recommended network.

    What an earlier run has done is not repeated.

    Args:
        ablations: number of networks to evaluate that differ from it in one thing.

    Returns:
        What the time limit cut short, as sentences.
    """
    cut_short = []
    try:
        with lock_deadline(loop.deadline.at):
            confirm_front(loop)
            if _count_latest_ablations(loop) < ablations and (base := find_base(loop)):
                cut_short = _ablate(loop, base, ablations)
    except OutOfTimeError:  # another process measured until the deadline
        cut_short = [_skipped()]
    return [*_describe_unconfirmed(loop), *cut_short]


def _skipped() -> str:
    return f"skipped the ablation of the recommended network: {TIME_LIMIT}"


def _describe_unconfirmed(loop: SearchLoop) -> list[str]:
    sentences = []
    for device in loop.lanes.names if loop.store.settings.measures else ():
        members = _front_on(loop, device)
        confirmed = len(select_confirmed(members, loop.store.confirmed(device)))
        if confirmed == len(members):
            continue
        why = TIME_LIMIT if _count_fitting(loop, len(members)) < 2 else "its members kept changing"
        if device in loop.lanes.aside:
            why = "the device failed"
        on = f" on {device}" if len(loop.lanes.names) > 1 else ""
        sentences.append(
            f"confirmed {confirmed} of the {len(members)} networks on the front{on}: {why}"
        )
    return sentences


def confirm_front(loop: SearchLoop, beside: Set[int] = frozenset()) -> None:
    """Measure every network of the front again, on each device all in the same rounds.

    Among many networks, the one with the luckiest measurement looks best. The new measurement
    therefore replaces the earlier one; the two are not averaged. A network that joins the front
    later is measured as well. The recommended networks and the stock networks that they are
    compared with share the last of these measurements, so that errors which differ between
    measurements cancel. So do the files of other tools.

    Args:
        beside: numbers of trials to measure in the same rounds, where there is room, so that they
            stay comparable.
    """
    if not loop.store.settings.measures:
        return
    for _ in range(MAX_ROUNDS):
        chosen = {lane.name: _choose_members(loop, lane.name, beside) for lane in loop.lanes.active}
        most = max(map(len, chosen.values()))
        fitting = _count_fitting(loop, min(most, NETWORKS_AT_ONCE - len(loop.foreign)))
        if fitting < min(2, most) or not most:
            return
        chosen = {name: members[:fitting] for name, members in chosen.items() if members}
        count = max(map(len, chosen.values()))
        loop.report(f"measuring {count} networks of the front and stock side by side")
        loop.evaluate([], beside=chosen, deadline=loop.deadline, options=CONFIRMING)
        for device in chosen.keys() - set(loop.lanes.aside):
            confirmed = loop.store.confirmed(device) | {each.number for each in chosen[device]}
            loop.store.save_confirmed(device, sorted(confirmed))


def _choose_members(loop: SearchLoop, device: str, beside: Set[int]) -> list[Trial]:
    """The trials to measure next on a device; none when its front is confirmed."""
    members, settings = _front_on(loop, device), loop.store.settings
    again = {each.number for each in select_confirmed(members, loop.store.confirmed(device))}
    new = [each for each in members if each.number not in again]
    view = settings.on(device)
    others = [trial.seen(view) for trial in loop.trials.values()]
    compared = _list_compared(loop, device)
    if not new and all(share_rounds(one, other) for one, other in pairwise(compared)):
        return []
    # The confirmed networks are measured again too: all are compared with each other.
    old = [each for each in members if each.number in again]
    more = [each for each in others if each.number in beside and each.latency is not None]
    numbers = dict.fromkeys(each.number for each in (*compared, *new, *old, *more))
    return [loop.trials[number] for number in numbers]


def _list_compared(loop: SearchLoop, device: str) -> list[Trial]:
    """The recommended network of each view of a device, and the stock networks beside them."""
    settings = loop.store.settings
    found = [_recommend(loop, view) for view in _views_of(settings, device)]
    picks = [each for one in found for each in (one.recommended, one.stock) if each is not None]
    numbers = dict.fromkeys(each.number for each in picks)
    shown = [loop.trials[number].seen(settings.on(device)) for number in numbers]
    return [each for each in shown if each.latency is not None]


def _front_on(loop: SearchLoop, device: str) -> list[Trial]:
    """The fronts that a device has a part in, as the device alone shows them."""
    settings = loop.store.settings
    members = joint_front(loop.front, settings, _views_of(settings, device))
    shown = [each.seen(settings.on(device)) for each in members]
    return [each for each in shown if each.latency is not None]


def _views_of(settings: Settings, device: str) -> list[Settings]:
    return [view for view in settings.views if device in view.device_labels]


def _count_fitting(loop: SearchLoop, wanted: int) -> int:
    """Number of networks that can be measured again before the deadline."""
    while wanted and not loop.deadline.allows(loop.lanes.measuring(wanted + len(loop.foreign))):
        wanted -= 1
    return wanted


def _ablate(loop: SearchLoop, base: Trial, ablations: int) -> list[str]:
    """Evaluate as many single changes as the time allows; returns what was cut short."""
    pace, measures = loop.evaluator.pace, loop.store.settings.measures
    beside = len(loop.front) + 1 if measures else 0

    def cost(count: int) -> float:
        first = loop.lanes.measuring(count + beside, CONFIRMING.seconds_per_network)
        return pace.scoring(count) + measures * (first + loop.lanes.measuring(beside))

    fitting = ablations
    while fitting and (loop.deadline.is_over or not loop.deadline.allows(cost(fitting))):
        fitting -= 1
    done = evaluate_ablations(loop, base, fitting)
    confirm_front(loop, done.together)
    if fitting == ablations and done.evaluated == done.chosen:
        return []
    if not done.evaluated:
        return [_skipped()]
    return [
        f"evaluated {done.evaluated} of {ablations} single changes to the recommended network: "
        f"{TIME_LIMIT}"
    ]


def find_base(loop: SearchLoop) -> Trial | None:
    """The recommended network, or the best that the space can change, of the front if possible.

    A stock network may lie outside the space.
    """
    recommended = _recommend(loop, loop.store.settings).recommended
    if recommended is None or _genotype(loop, recommended):
        return recommended
    # Stock networks outside the space may dominate everything that was found.
    known = (*loop.front, *loop.trials.values())
    numbers = {each.number: each for each in known if _genotype(loop, each)}
    inside = [each for each in loop.front if each.number in numbers] or list(numbers.values())
    return _recommend(loop, loop.store.settings, inside).recommended if inside else None


def _recommend(loop: SearchLoop, view: Settings, members: Sequence[Trial] = ()) -> Recommendation:
    """What a view of the study recommends.

    Args:
        members: networks to choose from; () for the front and the stock networks.
    """
    stock = (each for each in loop.trials.values() if each.baseline)
    known = members or {each.number: each for each in (*stock, *loop.front)}.values()
    noise = loop.evaluator.estimator.info.noise
    return recommend_among([each.seen(view) for each in known], view, noise)


def _genotype(loop: SearchLoop, trial: Trial) -> Params | None:
    # Prefer the trial's own genotype to an encoding of its network: that may differ in inactive
    # genes as well and hide which single gene was changed.
    return dict(trial.params) or loop.space.encode(trial.architecture)


class EvaluatedAblations(msgspec.Struct, frozen=True):
    """Networks that differ from another in one thing."""

    chosen: int = 0
    evaluated: int = 0
    together: frozenset[int] = frozenset()
    """Numbers of the trials that were measured in the same rounds."""


def evaluate_ablations(loop: SearchLoop, base: Trial, limit: int) -> EvaluatedAblations:
    """Evaluate at most `limit` networks that differ from `base` in one thing.

    They share their rounds with `base`, with the stock network that it is compared with, and with
    the front, because one of them may improve on it.
    """
    space, proposals = loop.space, loop.proposals
    params = _genotype(loop, base)
    limit -= _count_ablations_of(loop, base)
    if params is None or limit < 1:
        return EvaluatedAblations()
    new = [
        variant
        for variant in list_variants(space, params)
        if variant.architecture.id not in proposals.seen
    ]
    rng = random.Random(base.architecture.id)
    chosen = choose_variants(new, limit, rng, loop.store.settings.budgets)
    if not chosen:
        return EvaluatedAblations()
    loop.report(f"evaluating {len(chosen)} single changes to the recommended network")
    batch = [proposals.ask_for(dict(variant.params), "change") for variant in chosen]
    proposals.seen.update(trial.architecture.id for trial in batch)
    before = set(loop.trials)
    if not loop.store.settings.measures:
        return EvaluatedAblations(len(batch), loop.evaluate(batch, deadline=loop.deadline))
    stock = _recommend(loop, loop.store.settings).stock
    others = [base, *([stock] if stock else []), *loop.front]
    beside = list({each.number: each for each in others}.values())
    beside = beside[: max(NETWORKS_AT_ONCE - len(batch), 2)]
    everywhere = {
        lane.name: [each for each in beside if each.latencies.get(lane.name) is not None]
        for lane in loop.lanes.active
    }
    evaluated = loop.evaluate(batch, beside=everywhere, deadline=loop.deadline, options=CONFIRMING)
    together = {each.number for each in beside} | (set(loop.trials) - before)
    return EvaluatedAblations(len(batch), evaluated, frozenset(together))


def _count_latest_ablations(loop: SearchLoop) -> int:
    """Number of ablations evaluated since the newest network of the search itself."""
    origins = [loop.trials[number].origin for number in sorted(loop.trials)]
    return next((n for n, origin in enumerate(reversed(origins)) if origin != "change"), 0)


def _count_ablations_of(loop: SearchLoop, base: Trial) -> int:
    """Number of ablations of `base` that an earlier run, or another process, has evaluated."""
    changes = [each for each in loop.trials.values() if each.origin == "change"]
    return sum(find_single_change(base, each) is not None for each in changes)
