"""Whether the front was confirmed: its latencies taken a second time, side by side."""

from __future__ import annotations

from collections.abc import Sequence, Set

from gnv2_nas.search.records import Candidate


def confirmation_sentence(members: Sequence[Candidate], confirmed: Set[int] = frozenset()) -> str:
    """What was confirmed of the front; "" where no trial was, as in older studies.

    Args:
        members: the front.
        confirmed: numbers of the trials whose latency was measured again.
    """
    measured = [one for one in members if one.latency is not None]
    again = sum(one.number in confirmed for one in measured)
    if not confirmed or not measured:
        return ""
    if again == len(measured):
        return (
            f"The front is confirmed: the latency of each of its {again:,} networks was measured "
            "again at the end, interleaved with its neighbours, and is the one shown."
        )
    return (
        f"{again:,} of the {len(measured):,} networks on the front were measured again at the end, "
        "interleaved with their neighbours; the others stand on the measurement of the search, "
        "where the best of many is a little lucky."
    )
