"""A study as plain data: settings, trials, name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from gnv2_nas.arch import Architecture
from gnv2_nas.devices.fingerprint import Fingerprint
from gnv2_nas.errors import InputError
from gnv2_nas.files.writing import SUFFIXES
from gnv2_nas.graph import Counts
from gnv2_nas.measurement.records.record import Measurement
from gnv2_nas.quality import ESTIMATORS, EstimatorInfo, QualitySpec
from gnv2_nas.search.study.budgets import (
    Budget,
    excesses,
    label_limits,
    sort_budgets,
    violations,
)
from gnv2_nas.search.study.metrics import METRICS, Metric, get_metric

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

MAX_LENGTH = 512
"""Length of the column of names in Optuna's table."""


def check_study_name(name: str) -> None:
    """Refuse a name that no command could refer to later.

    Raises:
        InputError: it has characters that a terminal does not show, or more than there is room for.
    """
    if not name.isprintable():
        raise InputError(
            f"study {name!r}: a name takes printable characters only, because commands refer to "
            "the study by it; choose another with --study"
        )
    if len(name) > MAX_LENGTH:
        raise InputError(
            f"study {name[:20]!r}…: a name takes up to {MAX_LENGTH} characters, but this one has "
            f"{len(name)}; choose another with --study"
        )


def device_label(device: str) -> str:
    """The name of a device, however its profile was given: "cpu" for "profiles/cpu.yaml"."""
    path = Path(device.strip())
    return path.stem if path.suffix.lower() in SUFFIXES else path.name


def default_study_name(settings: Settings) -> str:
    """Space, data, budgets and device: the same search continues the same study."""
    asked = [Path(settings.data).resolve().name] if settings.data else []
    if settings.data or settings.quality_hash:
        asked.append(settings.quality_spec.label)
    parts: Sequence[str] = (
        settings.space,
        *asked,
        *(label_limits(settings.limits_of(budget.metric)) for budget in settings.budgets),
        device_label(settings.device),
    )
    return "-".join(parts)


class Settings(msgspec.Struct, frozen=True):
    """What makes two runs the same study; going on with other settings is refused."""

    space: str
    space_hash: str
    device: str
    quality: str
    """The quality estimator, for instance "zen" or "supernet:supernet.safetensors"."""
    objectives: tuple[str, ...]
    budgets: tuple[Budget, ...]
    device_hash: str = ""
    """Of the device profile: one name may mean something else tomorrow."""
    quality_hash: str = ""
    """Of the file that the estimator reads, if it reads one."""
    data: str = ""
    """The images that quality is measured on, or that the number of classes is of."""
    data_hash: str = ""
    """Of images, labels and split, where they were read."""
    limits: tuple[Budget, ...] = ()
    """Those of lists such as "100MFLOPs,200MFLOPs", tightest first. The loosest of each metric is
    also among `budgets`, which every network must keep."""

    def limits_of(self, metric: str) -> tuple[Budget, ...]:
        """All limits of a metric, tightest first."""
        listed = tuple(limit for limit in self.limits if limit.metric == metric)
        return listed or tuple(each for each in self.budgets if each.metric == metric)

    @property
    def budget_texts(self) -> tuple[str, ...]:
        """The budgets as the user wrote them, a list as one text: "100MFLOPs,200MFLOPs"."""
        limits = (self.limits_of(budget.metric) for budget in self.budgets)
        return tuple(",".join(limit.text for limit in each) for each in limits)

    def within(self, limit: Budget) -> Settings:
        """The settings as if `limit` had been the only one of its metric."""
        others = (each for each in self.budgets if each.metric != limit.metric)
        return msgspec.structs.replace(self, budgets=sort_budgets((limit, *others)), limits=())

    @property
    def by_limit(self) -> tuple[Settings, ...]:
        """The settings `within` each limit of a list, or the study's own without a list."""
        return tuple(map(self.within, self.limits)) or (self,)

    @property
    def views(self) -> tuple[Settings, ...]:
        """The settings for each recommended network."""
        return self.by_limit

    @property
    def quality_spec(self) -> QualitySpec:
        """The estimator and its file."""
        return QualitySpec.parse(self.quality)

    @property
    def measures(self) -> bool:
        """Whether an objective or a budget asks for latency."""
        return "latency" in self.asked

    @property
    def asked(self) -> tuple[str, ...]:
        """Names of the metrics that an objective or a budget asks for."""
        limited = [budget.metric for budget in self.budgets]
        return tuple(name for name in METRICS if name in (*self.objectives, *limited))

    @property
    def evaluated(self) -> tuple[Metric, ...]:
        """Those of them that have an `evaluate` of their own."""
        metrics = [get_metric(name) for name in self.asked]
        return tuple(metric for metric in metrics if metric.evaluate is not None)


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
    latency: Measurement | None = None
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

    def seen(self, view: Settings) -> Trial:
        """The trial as one of `Settings.views` shows it."""
        return msgspec.structs.replace(self, budgets=view.budgets)

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
    fingerprint: Fingerprint | None = None
    """Of the machine the latencies were taken on."""
    confirmed: frozenset[int] = frozenset()
    """Numbers of the trials that were measured side by side at the end, as the front."""
    storage: str = ""
    """URL of the database, passwords masked; "" where that is not known."""

    def seen(self, view: Settings) -> StudyRecord:
        """The study as one of `Settings.views` shows it: what it would be with these settings."""
        trials = tuple(trial.seen(view) for trial in self.trials)
        return msgspec.structs.replace(self, settings=view, trials=trials)

    def within(self, limit: Budget) -> StudyRecord:
        """The study as if `limit` had been the only one of its metric."""
        return self.seen(self.settings.within(limit))

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
