"""The best compromise of a front."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gnv2_nas.search.objectives import loss
from gnv2_nas.search.records import Candidate, ObjectiveName


def knee(members: Sequence[Candidate], objectives: Sequence[ObjectiveName]) -> Candidate | None:
    """The member farthest from the chord between the extremes of the front.

    Das, "On characterizing the 'knee' of the Pareto curve based on Normal-Boundary
    Intersection", 1999. With losses scaled to [0, 1] over the front, the distance to the chord
    (for more objectives: the plane) falls with the sum of the losses: the smallest sum is the
    knee, also where there are one, two or more than two objectives. Members with a trusted
    latency go first; None when there are no members.
    """
    if not members:
        return None
    losses = np.array([[loss(member, name) for name in objectives] for member in members])
    span = np.ptp(losses, axis=0)
    scaled = (losses - losses.min(axis=0)) / np.where(span > 0, span, 1.0)
    trusted = [member.latency is None or member.latency.stable for member in members]
    sums = scaled.sum(axis=1)
    return members[int(np.where(trusted, sums, np.inf if any(trusted) else sums).argmin())]
