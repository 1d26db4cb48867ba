"""What a study and its trials keep in their user attributes, and how candidates become trials.

A later, better latency never changes a trial: it is kept beside it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from optuna.trial import FrozenTrial, TrialState, create_trial

from gnv2_nas.arch import Architecture
from gnv2_nas.devices.fingerprint import Fingerprint
from gnv2_nas.graph import Counts
from gnv2_nas.measurement.record import Measurement
from gnv2_nas.quality import EstimatorInfo
from gnv2_nas.search.storage.transactions import Last
from gnv2_nas.search.study.budgets import Budget
from gnv2_nas.search.study.records import Origin, Prediction, Trial


class Provenance(msgspec.Struct, frozen=True):
    """How a study came about."""

    sampler: str
    seed: int
    command: str
    created_at: str
    fingerprint: Fingerprint | None = None
    software: dict[str, str] = {}
    """Package → version the study was begun with."""
    reference_ms: float | None = None
    """Milliseconds of the reference network that all latencies of the study are expressed in."""
    estimator: EstimatorInfo | None = None
    """What the quality estimator said of itself; None in older studies."""
    space_source: str = ""
    """The space as it was asked for, a name or a file; "" in older studies."""


class Progress(msgspec.Struct, frozen=True):
    """Running totals of a study."""

    proposed: int = 0
    rejected: int = 0
    duplicates: int = 0

    def plus(self, later: Progress, earlier: Progress) -> Progress:
        """This, and what came about between two others."""
        return Progress(
            *(
                getattr(self, name) + getattr(later, name) - getattr(earlier, name)
                for name in self.__struct_fields__
            )
        )


class _Result(msgspec.Struct, frozen=True):
    counts: Counts
    quality: float | None
    latency: Measurement | None
    measured: dict[str, float] = {}
    origin: Origin = ""
    predicted: dict[str, Prediction] = {}


def finished_trial(
    candidate: Trial, trial: FrozenTrial | None, objectives: tuple[str, ...]
) -> FrozenTrial:
    """The trial to store for a candidate, not numbered yet.

    Args:
        candidate: what was found out.
        trial: the finished trial it came from; None for a baseline outside the space.
        objectives: names of the study's values, in order.
    """
    values = [candidate.value(name) for name in objectives]
    # A stock network whose score does not compare has no place among the values.
    complete = all(map(math.isfinite, values))
    stored = create_trial(
        state=TrialState.COMPLETE if complete else TrialState.PRUNED,
        values=values if complete else None,
        params=trial.params if trial else {},
        distributions=trial.distributions if trial else {},
        user_attrs=_user_attrs(candidate),
        system_attrs=trial.system_attrs if trial else {},
    )
    if trial is not None and trial.datetime_start is not None:
        stored.datetime_start = trial.datetime_start
    return stored


def _user_attrs(candidate: Trial) -> dict[str, Any]:
    result = _Result(
        counts=candidate.counts,
        quality=candidate.quality,
        latency=candidate.latency.drop_samples() if candidate.latency else None,
        measured=dict(candidate.measured),
        origin=candidate.origin,
        predicted=dict(candidate.predicted),
    )
    kept: dict[str, Any] = {
        ARCHITECTURE: candidate.architecture.to_json(),
        RESULT: msgspec.to_builtins(result),
    }
    if candidate.baseline:
        kept[BASELINE] = candidate.baseline
    # As it will be read back: lists for tuples.
    plain: dict[str, Any] = json.loads(json.dumps(kept))
    return plain


def numbered(trial: FrozenTrial, place: Last) -> FrozenTrial:
    """`trial` as it is read back from its place in the database."""
    return FrozenTrial(
        number=place.number,
        trial_id=place.trial_id,
        state=trial.state,
        value=None,
        values=trial.values,
        datetime_start=trial.datetime_start,
        datetime_complete=trial.datetime_complete,
        params=trial.params,
        distributions=trial.distributions,
        user_attrs=trial.user_attrs,
        system_attrs=trial.system_attrs,
        intermediate_values={},
    )


def is_ours(trial: FrozenTrial) -> bool:
    """Whether this program stored a finished trial."""
    return RESULT in trial.user_attrs


def network_of(trial: FrozenTrial) -> str:
    """The JSON of the network, which is canonical: equal for equal networks."""
    network: str = trial.user_attrs[ARCHITECTURE]
    return network


def label_of(trial: FrozenTrial) -> str:
    """Name of the stock network a trial is, "" for others."""
    label: str = trial.user_attrs.get(BASELINE, "")
    return label


def candidate_of(trial: FrozenTrial, budgets: Sequence[Budget] = ()) -> Trial:
    """The candidate a stored trial holds, of a study with these budgets."""
    result = msgspec.convert(trial.user_attrs[RESULT], _Result)
    return Trial(
        number=trial.number,
        architecture=Architecture.from_json(network_of(trial)),
        params=trial.params,
        baseline=label_of(trial),
        counts=result.counts,
        quality=result.quality,
        latency=result.latency,
        budgets=tuple(budgets),
        measured=result.measured,
        origin=result.origin,
        predicted=result.predicted,
    )


def latencies_of(study_attributes: Mapping[str, Any]) -> dict[int, Measurement]:
    """Number of a trial → its later latency, from the user attributes of the study."""
    return {
        int(key.removeprefix(LATENCY)): msgspec.convert(value, Measurement)
        for key, value in study_attributes.items()
        if key.startswith(LATENCY)
    }


def with_latency(candidate: Trial, latency: Measurement | None) -> Trial:
    """`candidate` with a later latency, if there is one."""
    return candidate if latency is None else msgspec.structs.replace(candidate, latency=latency)


# Of a trial.
ARCHITECTURE = "architecture"
"""JSON of the network."""
BASELINE = "baseline"
"""Name of the stock network the trial is; absent otherwise."""
RESULT = "result"
"""Counts, quality, latency, other measured metrics, origin and predictions."""

# Of a study.
FORMAT = "gnv2_nas:format"
SETTINGS = "gnv2_nas:settings"
PROVENANCE = "gnv2_nas:provenance"
PROGRESS = "gnv2_nas:progress"
LATENCY = "gnv2_nas:latency:"
"""With a trial's number behind it: a later, better latency of that trial."""
CONFIRMED = "gnv2_nas:confirmed"
"""Numbers of the trials that were measured side by side in the end."""

FORMAT_VERSION = 1


def latency_key(number: int) -> str:
    return f"{LATENCY}{number}"
