"""What a study and its trials keep in their user attributes, and how Optuna keeps a trial.

A later, better latency never changes a trial: it is kept beside it, in an attribute of the study.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from optuna.trial import FrozenTrial, TrialState, create_trial

from gnv2_nas.arch import Architecture
from gnv2_nas.graph import Counts
from gnv2_nas.measurement.records.record import Measurement
from gnv2_nas.search.study.budgets import Budget
from gnv2_nas.search.study.foreign import ForeignBaseline
from gnv2_nas.search.study.records import Origin, Prediction, Progress, Provenance, Trial
from gnv2_nas.search.study.settings import Settings

# Keys of a trial.
ARCHITECTURE = "architecture"
"""JSON of the network."""
BASELINE = "baseline"
"""Name of the stock network that the trial is; absent otherwise."""
RESULT = "result"
"""Counts, quality, latencies, other measured metrics, origin and predictions."""

# Keys of a study.
PREFIX = "gnv2_nas:"
STUDY = "gnv2_nas:study"
"""A `Beginning`."""
PROGRESS = "gnv2_nas:progress"
"""Totals of the process whose name follows ":"; of all processes in format 1."""
LATENCY = "gnv2_nas:latency:"
"""A later, better latency of the trial whose number follows, and after ":" the device. Up to
format 2 there was one device, and the key does not name it."""
FOREIGN = "gnv2_nas:foreign:"
"""The `ForeignBaseline` whose id follows."""
MEASURED = "gnv2_nas:measured:"
"""A metric that a device evaluated later, of the trial whose number follows; after ":" its name."""
CONFIRMED = "gnv2_nas:confirmed"
"""Numbers of the trials that were measured side by side at the end, on the device whose name
follows ":"; on the only device up to format 2."""

# Keys that a study of format 1 has in place of `STUDY`.
FORMAT = "gnv2_nas:format"
SETTINGS = "gnv2_nas:settings"
PROVENANCE = "gnv2_nas:provenance"

FORMAT_VERSION = 3


class Beginning(msgspec.Struct, frozen=True):
    """What is written when a study is made: one attribute, so all of it or nothing."""

    settings: Settings
    provenance: Provenance
    format: int = FORMAT_VERSION


class _Result(msgspec.Struct, frozen=True):
    counts: Counts
    quality: float | None
    latency: Measurement | None = None
    """On the only device, up to format 2."""
    latencies: dict[str, Measurement | None] = {}
    measured: dict[str, float] = {}
    origin: Origin = ""
    predicted: dict[str, Prediction] = {}


def format_of(attributes: Mapping[str, Any]) -> int | None:
    """Version of the format of a study; None if this package did not begin it."""
    version: int | None = attributes.get(STUDY, {}).get("format", attributes.get(FORMAT))
    return version


def read_beginning(attributes: Mapping[str, Any]) -> Beginning | None:
    """The beginning of a study of format 1 to 3; None for other formats, or if it is incomplete."""
    version = format_of(attributes)
    if version in (2, FORMAT_VERSION) and STUDY in attributes:
        there = attributes[STUDY]
        return msgspec.convert(there | {"settings": _modern(there["settings"])}, Beginning)
    if version != 1 or not attributes.keys() >= {SETTINGS, PROVENANCE}:
        return None
    settings = msgspec.convert(_modern(attributes[SETTINGS]), Settings)
    return Beginning(settings, msgspec.convert(attributes[PROVENANCE], Provenance), format=1)


def _modern(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings as they are stored now. Up to format 2 a study had one device."""
    if "devices" in settings:
        return dict(settings)
    only = {"name": settings["device"], "content_hash": settings.get("device_hash", "")}
    return dict(settings) | {"devices": [only]}


def total_progress(attributes: Mapping[str, Any]) -> Progress:
    """The totals of all processes together."""
    parts = [
        msgspec.convert(value, Progress)
        for key, value in attributes.items()
        if key == PROGRESS or key.startswith(f"{PROGRESS}:")
    ]
    return sum(parts, Progress())


def freeze_trial(trial: Trial, objectives: tuple[str, ...]) -> FrozenTrial:
    """An evaluated trial as Optuna stores it.

    Args:
        objectives: names of the study's values, in order.
    """
    values, sampled = [trial.value(name) for name in objectives], trial.sampled
    # A stock network whose score does not compare has no place among the values.
    complete = all(map(math.isfinite, values))
    stored = create_trial(
        state=TrialState.COMPLETE if complete else TrialState.PRUNED,
        values=values if complete else None,
        params=sampled.params if sampled else {},
        distributions=sampled.distributions if sampled else {},
        user_attrs=_user_attributes(trial),
        system_attrs=sampled.system_attrs if sampled else {},
    )
    if sampled is not None and sampled.datetime_start is not None:
        stored.datetime_start = sampled.datetime_start
    return stored


def _user_attributes(trial: Trial) -> dict[str, Any]:
    result = _Result(
        counts=trial.counts,
        quality=trial.quality,
        latencies=drop_samples(trial.latencies),
        measured=dict(trial.measured),
        origin=trial.origin,
        predicted=dict(trial.predicted),
    )
    attributes: dict[str, Any] = {
        ARCHITECTURE: trial.architecture.to_json(),
        # Earlier versions read the broken budgets here; this one computes them.
        RESULT: msgspec.to_builtins(result) | {"violations": trial.broken_budgets},
    }
    if trial.baseline:
        attributes[BASELINE] = trial.baseline
    # Through JSON, so that tuples are lists, as they are when the trial is read.
    plain: dict[str, Any] = json.loads(json.dumps(attributes))
    return plain


def drop_samples(latencies: Mapping[str, Measurement | None]) -> dict[str, Measurement | None]:
    """Device → latency, as a study keeps it: without raw samples."""
    return {name: each and each.drop_samples() for name, each in latencies.items()}


def is_ours(trial: FrozenTrial) -> bool:
    """Whether this package stored a finished trial."""
    return RESULT in trial.user_attrs


def network_of(trial: FrozenTrial) -> str:
    """The JSON of the network, which is canonical: equal for equal networks."""
    network: str = trial.user_attrs[ARCHITECTURE]
    return network


def label_of(trial: FrozenTrial) -> str:
    """Name of the stock network that a trial is, "" for others."""
    label: str = trial.user_attrs.get(BASELINE, "")
    return label


def latencies_of(trial: FrozenTrial) -> dict[str, Measurement | None]:
    """Device → the latency that a trial was stored with."""
    return _by_device(msgspec.convert(trial.user_attrs[RESULT], _Result))


def _by_device(result: _Result) -> dict[str, Measurement | None]:
    if result.latency is not None:
        return {result.latency.device: result.latency}
    return result.latencies


def read_trial(trial: FrozenTrial, budgets: Sequence[Budget] = ()) -> Trial:
    """The trial that `freeze_trial` stored, of a study with these budgets."""
    result = msgspec.convert(trial.user_attrs[RESULT], _Result)
    return Trial(
        number=trial.number,
        architecture=Architecture.from_json(network_of(trial)),
        params=trial.params,
        baseline=label_of(trial),
        counts=result.counts,
        quality=result.quality,
        latencies=_by_device(result),
        budgets=tuple(budgets),
        measured=result.measured,
        origin=result.origin,
        predicted=result.predicted,
        sampled=trial,
    )


def latency_key(number: int, device: str) -> str:
    """Key of the later latency of a trial on a device."""
    return f"{LATENCY}{number}:{device}"


def later_latencies(attributes: Mapping[str, Any]) -> dict[int, dict[str, Measurement]]:
    """Number of a trial → device → the later latency, from the user attributes of the study."""
    found: dict[int, dict[str, Measurement]] = {}
    # A key without a device is the older one of a trial.
    for key in sorted(key for key in attributes if key.startswith(LATENCY)):
        number, _, _ = key.removeprefix(LATENCY).partition(":")
        latency = msgspec.convert(attributes[key], Measurement)
        found.setdefault(int(number), {})[latency.device] = latency
    return found


def foreign_baselines(
    attributes: Mapping[str, Any], references: Mapping[str, float]
) -> tuple[ForeignBaseline, ...]:
    """The files of other tools of a study, by name.

    Args:
        attributes: of the study.
        references: device → milliseconds that the study's latencies refer to.
    """
    found = []
    for key in attributes:
        if key.startswith(FOREIGN):
            each = msgspec.convert(attributes[key], ForeignBaseline)
            rescaled = _rescale_latencies(each.latencies, references)
            found.append(msgspec.structs.replace(each, latencies=rescaled))
    return tuple(sorted(found, key=lambda each: each.name))


def metric_key(number: int, name: str) -> str:
    return f"{MEASURED}{number}:{name}"


def later_metrics(attributes: Mapping[str, Any]) -> dict[int, dict[str, float]]:
    """Number of a trial → metric → the value that was evaluated later."""
    found: dict[int, dict[str, float]] = {}
    for key, value in attributes.items():
        if key.startswith(MEASURED):
            number, _, name = key.removeprefix(MEASURED).partition(":")
            found.setdefault(int(number), {})[name] = float(value)
    return found


def confirmed_key(device: str) -> str:
    """Key of the trials that were confirmed on a device."""
    return f"{CONFIRMED}:{device}"


def confirmed_trials(
    attributes: Mapping[str, Any], settings: Settings
) -> dict[str, frozenset[int]]:
    """Device → numbers of the trials that were confirmed there."""
    before = attributes.get(CONFIRMED, ())
    return {
        label: frozenset(attributes.get(confirmed_key(label), before))
        for label in settings.device_labels
    }


def _rescale_latencies(
    latencies: Mapping[str, Measurement | None], references: Mapping[str, float]
) -> dict[str, Measurement | None]:
    return {
        name: each and each.rescale(references.get(name, each.ms / each.ratio))
        for name, each in latencies.items()
    }


def read_latest(
    frozen: Sequence[FrozenTrial],
    budgets: Sequence[Budget],
    attributes: Mapping[str, Any],
    references: Mapping[str, float],
) -> list[Trial]:
    """Trials with the latest values among the attributes of the study.

    Latencies are in milliseconds of reference networks, which `references` has by device.
    """
    later, metrics = later_latencies(attributes), later_metrics(attributes)
    trials = []
    for each in frozen:
        trial = read_trial(each, budgets)
        # Two processes may both have measured before either stored the first trial.
        latest = {**trial.latencies, **later.get(trial.number, {})}
        latencies = _rescale_latencies(latest, references)
        measured = {**trial.measured, **metrics.get(trial.number, {})}
        trials.append(msgspec.structs.replace(trial, latencies=latencies, measured=measured))
    return trials
