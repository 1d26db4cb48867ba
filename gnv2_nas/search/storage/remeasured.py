"""Later, better latencies of finished trials: a trial itself is never changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from gnv2_nas.measurement.record import Measurement
from gnv2_nas.search import attributes
from gnv2_nas.search.budgets import excesses, violations
from gnv2_nas.search.records import Budget, Candidate


def latencies_of(study_attributes: Mapping[str, Any]) -> dict[int, Measurement]:
    """Number of a trial → its later latency, from the user attributes of the study."""
    return {
        int(key.removeprefix(attributes.LATENCY)): msgspec.convert(value, Measurement)
        for key, value in study_attributes.items()
        if key.startswith(attributes.LATENCY)
    }


def with_latency(
    candidate: Candidate, latency: Measurement | None, budgets: Sequence[Budget]
) -> Candidate:
    """`candidate` with a later latency, if there is one, and what that means for the budgets."""
    if latency is None:
        return candidate
    return msgspec.structs.replace(
        candidate,
        latency=latency,
        violations=violations(excesses(budgets, candidate.counts, latency)),
    )
