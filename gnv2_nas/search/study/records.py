"""A study as plain data: its trials, how it came about, and the whole record."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import msgspec

from gnv2_nas.arch import Architecture
from gnv2_nas.devices.fingerprint import Fingerprint
from gnv2_nas.graph import Counts
from gnv2_nas.measurement.records.record import Measurement
from gnv2_nas.quality import ESTIMATORS, EstimatorInfo
from gnv2_nas.search.study.budgets import Budget, excesses, violations
from gnv2_nas.search.study.foreign import ForeignBaseline
from gnv2_nas.search.study.metrics import get_metric, get_only
from gnv2_nas.search.study.settings import Settings, name_alone

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

Value = TypeVar("Value")

Origin = Literal["", "stock", "random", "model", "sampler", "change"]
"""Where a network came from: a published one, the initial design, a proposal on models or of
another sampler, one change to the recommended network; "" in older studies."""


class Prediction(msgspec.Struct, frozen=True):
    """What a model said of a value before it was known."""

    mean: float
    std: float
    """Standard deviation: of the value itself, what measuring adds left out."""


class Trial(msgspec.Struct, frozen=True, kw_only=True):
    """One network, from the proposal to the database and back."""

    number: int = -1
    """Of the trial in the database, -1 before it is stored. `study:number` is its name on the
    command line."""
    architecture: Architecture
    params: Mapping[str, Any] = {}
    """The genotype; empty for a baseline outside the space."""
    baseline: str = ""
    """Name of the stock network this is, "" for a network the search found."""
    counts: Counts
    quality: float | None = None
    """By the study's estimator; None when no objective asks for it, or when scores of this
    network's family do not compare with the others."""
    latencies: Mapping[str, Measurement | None] = {}
    """Label of each device of the study → its latency there; None where it is missing because the
    device failed. Empty if nothing was measured."""
    budgets: tuple[Budget, ...] = ()
    """Of the study."""
    measured: Mapping[str, float] = {}
    """Metric → value, of the metrics that were evaluated (`Metric.evaluate`)."""
    origin: Origin = ""
    predicted: Mapping[str, Prediction] = {}
    """Metric → what the search's models said of it before it was evaluated."""
    sampled: FrozenTrial | None = None
    """The sampler's record of it: distributions of the parameters, and attributes that samplers
    need to continue. None before the values are told, and for a baseline outside the space."""

    @property
    def latency(self) -> Measurement | None:
        """That on the only device; None if it is not known, or if there are several devices."""
        return get_only(self.latencies)

    def with_latency(self, latency: Measurement) -> Trial:
        """The trial with this latency on the device that it was measured on."""
        latencies = {**self.latencies, latency.device: latency}
        return msgspec.structs.replace(self, latencies=latencies)

    @property
    def measured_on(self) -> dict[str, Measurement]:
        """Label of a device → the latency, where it is known."""
        return {name: each for name, each in self.latencies.items() if each is not None}

    @property
    def is_stable(self) -> bool:
        """Whether every known latency is as precise as requested, and no device changed."""
        return all(each.stable for each in self.measured_on.values())

    def seen(self, view: Settings) -> Trial:
        """The trial as one of `Settings.views` shows it."""
        if len(view.devices) > 1:
            return msgspec.structs.replace(self, budgets=view.budgets)
        (device,) = view.device_labels

        def alone(values: Mapping[str, Value]) -> dict[str, Value]:
            named = {name_alone(name, device): value for name, value in values.items()}
            return {name: value for name, value in named.items() if name}

        return msgspec.structs.replace(
            self,
            latencies={device: self.latencies[device]} if device in self.latencies else {},
            measured=alone(self.measured),
            predicted=alone(self.predicted),
            budgets=view.budgets,
        )

    @property
    def searched(self) -> bool:
        """Whether it is one of the networks that `--trials` counts."""
        return not self.baseline and self.origin not in ("stock", "change")

    @property
    def excesses(self) -> dict[str, float]:
        """Metric → relative excess over its budget, where the metric is known; ≤ 0 is kept."""
        return excesses(self.budgets, self)

    @property
    def broken_budgets(self) -> dict[str, float]:
        """Text of each broken budget → relative excess, for display."""
        excess = violations(self.excesses)
        return {each.text: excess[each.metric] for each in self.budgets if each.metric in excess}

    @property
    def feasible(self) -> bool:
        """Whether every budget is kept, as far as is known."""
        return not violations(self.excesses)

    def value(self, metric: str) -> float:
        """The value of a metric in base units: milliseconds, multiply-adds, bytes, a score."""
        return get_metric(metric).value(self)


class Provenance(msgspec.Struct, frozen=True):
    """How a study came about."""

    sampler: str
    seed: int
    command: str
    created_at: str
    software: dict[str, str] = {}
    """Package → version the study was begun with."""
    estimator: EstimatorInfo | None = None
    """What the quality estimator said of itself; None in older studies."""
    space_source: str = ""
    """The space as it was asked for, a name or a file; "" in older studies."""


class Progress(msgspec.Struct, frozen=True):
    """Running totals of one process, or of all processes of a study."""

    proposed: int = 0
    rejected: int = 0
    duplicates: int = 0

    def __add__(self, other: Progress) -> Progress:
        return Progress(
            *(getattr(self, name) + getattr(other, name) for name in self.__struct_fields__)
        )


class StudyRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A study and all its finished trials."""

    name: str
    settings: Settings
    trials: tuple[Trial, ...]
    """Baselines included, in the order they were evaluated."""
    provenance: Provenance
    progress: Progress = Progress()
    """Totals of all processes: networks proposed, and those of them that arithmetic rejected or
    that were evaluated before."""
    fingerprints: Mapping[str, Fingerprint] = {}
    """Label of a device → the machine the latencies were taken on."""
    confirmed_on: Mapping[str, frozenset[int]] = {}
    """Label of a device → numbers of the trials that were measured side by side there at the end,
    as the front."""
    foreign: tuple[ForeignBaseline, ...] = ()
    """Files of other tools to compare with, by name."""
    storage: str = ""
    """URL of the database, passwords masked; "" where that is not known."""

    def within(self, limit: Budget) -> StudyRecord:
        """The study as if `limit` had been the only one of its metric."""
        return self.seen(self.settings.within(limit))

    @property
    def fingerprint(self) -> Fingerprint | None:
        """Of the only device; None if nothing was measured, or on several devices."""
        return get_only(self.fingerprints)

    @property
    def confirmed(self) -> frozenset[int]:
        """Numbers of the trials that were confirmed on every device."""
        return frozenset.intersection(*self.confirmed_on.values() or [frozenset()])

    def seen(self, view: Settings) -> StudyRecord:
        """The study as one of `Settings.views` shows it: what it would be with these settings."""
        labels = view.device_labels
        return msgspec.structs.replace(
            self,
            settings=view,
            trials=tuple(trial.seen(view) for trial in self.trials),
            foreign=tuple(each.on(labels) for each in self.foreign),
            fingerprints={
                each: self.fingerprints[each] for each in labels if each in self.fingerprints
            },
            confirmed_on={
                each: self.confirmed_on[each] for each in labels if each in self.confirmed_on
            },
        )

    def on(self, device: str) -> StudyRecord:
        """The study as if a device had been the only one.

        Raises:
            UnknownNameError: the study has no such device.
        """
        return self.seen(self.settings.on(device))

    @property
    def quality_info(self) -> EstimatorInfo:
        """What there is to say about the scores, whatever they are."""
        spec = self.settings.quality
        return (
            self.provenance.estimator
            or ESTIMATORS.get(self.settings.quality_spec.name)
            or EstimatorInfo(
                spec, f"Score “{spec}”", f"score “{spec}”", "not a measured accuracy", "not known"
            )
        )
