"""Whether the front was confirmed: its latencies taken a second time, side by side."""

from __future__ import annotations

from collections.abc import Sequence, Set

from gnv2_nas.search.analysis.baselines import confirmed_among
from gnv2_nas.search.study.records import Candidate

NAMED = 5
"""Trials that are named at most."""


def confirmation_sentence(members: Sequence[Candidate], confirmed: Set[int] = frozenset()) -> str:
    """What was confirmed of the front; "" where no trial was, as in older studies.

    Args:
        members: the front.
        confirmed: numbers of the trials whose latency was measured again.
    """
    measured = [one for one in members if one.latency is not None]
    again = confirmed_among(measured, confirmed)
    if not confirmed or not measured:
        return ""
    # Later rounds replace what was measured in earlier ones, for those that are in them.
    batches = {one.latency.batch for one in again if one.latency is not None}
    how = "in the same rounds" if len(batches) == 1 else "interleaved with others"
    if len(again) == len(measured):
        return (
            f"The front is confirmed: the latency of each of its {len(again):,} networks was "
            f"measured again at the end, {how}, and is the one shown."
        )
    others = [one.number for one in measured if one not in again]
    return (
        f"{len(again):,} of the {len(measured):,} networks on the front were measured again at "
        f"the end, {how}. {_trials(others)} on the measurement of the search, where the best of "
        "many is a little lucky; the same command with more time measures again what is missing."
    )


def _trials(numbers: Sequence[int]) -> str:
    """ "Trials 4 and 7 stand", the subject of a sentence."""
    if len(numbers) == 1:
        return f"Trial {numbers[0]} stands"
    if len(numbers) > NAMED:
        return f"The other {len(numbers):,} stand"
    *first, last = map(str, numbers)
    return f"Trials {', '.join(first)} and {last} stand"
