"""What a study was asked for: the settings that make two runs the same study, and its name."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import msgspec

from gnv2_nas.errors import InputError, UnknownNameError
from gnv2_nas.files.writing import SUFFIXES
from gnv2_nas.quality import QualitySpec
from gnv2_nas.search.study.budgets import Budget, label_limits, sort_budgets
from gnv2_nas.search.study.metric_names import order_of
from gnv2_nas.search.study.metrics import LATENCY_RATIO, Metric, get_metric

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


@lru_cache(1024)  # every trial that is shown for one device asks for the labels of all
def device_label(device: str) -> str:
    """The name of a device, however its profile was given: "cpu" for "profiles/cpu.yaml"."""
    path = Path(device.strip())
    return path.stem if path.suffix.lower() in SUFFIXES else path.name


def default_study_name(settings: Settings) -> str:
    """Space, data, budgets and device: the same search continues the same study."""
    asked = [Path(settings.data).resolve().name] if settings.data else []
    if settings.data or settings.quality_hash:
        asked.append(settings.quality_spec.label)
    limits = [settings.limits_of(budget.metric) for budget in settings.budgets]
    # Limits that hold on every device are named once.
    alone = [tuple((each.alone().metric, each.limit) for each in group) for group in limits]
    labels = [
        label_limits([each.alone() for each in group] if alone.count(key) > 1 else group)
        for group, key in zip(limits, alone, strict=True)
    ]
    parts: Sequence[str] = (
        settings.space, *asked, *dict.fromkeys(labels), "+".join(settings.device_labels),
    )  # fmt: skip
    return "-".join(parts)


class StudyDevice(msgspec.Struct, frozen=True):
    """A device that a study measures on."""

    name: str
    """Name or path of its profile, as the user gave it."""
    content_hash: str = ""
    """Of the profile: one name may mean something else tomorrow; "" in the oldest studies."""

    @property
    def label(self) -> str:
        return device_label(self.name)


class Settings(msgspec.Struct, frozen=True):
    """What makes two runs the same study; going on with other settings is refused."""

    space: str
    space_hash: str
    devices: tuple[StudyDevice, ...]
    """In the order of their labels, which are all different."""
    quality: str
    """The quality estimator, for instance "zen" or "supernet:supernet.safetensors"."""
    objectives: tuple[str, ...]
    budgets: tuple[Budget, ...]
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

    def within(self, *limits: Budget) -> Settings:
        """The settings as if these limits had been the only ones of their metrics."""
        metrics = {limit.metric for limit in limits}
        others = (each for each in self.budgets if each.metric not in metrics)
        return msgspec.structs.replace(self, budgets=sort_budgets((*limits, *others)), limits=())

    @property
    def quality_spec(self) -> QualitySpec:
        """The estimator and its file."""
        return QualitySpec.parse(self.quality)

    @property
    def device_labels(self) -> tuple[str, ...]:
        """The names of the devices."""
        return tuple(device.label for device in self.devices)

    def on(self, device: str) -> Settings:
        """The settings as if a device had been the only one: its latency is the metric "latency".

        Raises:
            UnknownNameError: the study has no such device.
        """
        if device not in self.device_labels:
            raise UnknownNameError("device of this study", device, self.device_labels)
        if len(self.devices) == 1:
            return self
        objectives = {alone for each in self.objectives if (alone := name_alone(each, device))}
        objectives |= {"latency"} if self.measures else set()
        return msgspec.structs.replace(
            self,
            devices=tuple(each for each in self.devices if each.label == device),
            objectives=tuple(sorted(objectives, key=order_of)),
            budgets=tuple(each.alone() for each in self.budgets if name_alone(each.metric, device)),
            limits=tuple(each.alone() for each in self.limits if name_alone(each.metric, device)),
        )

    @property
    def views(self) -> tuple[Settings, ...]:
        """The settings for each recommended network.

        Those of the whole study and, if it has several devices, those `on` each; of each, one for
        each limit of a list.
        """
        scopes = (self, *map(self.on, self.device_labels if len(self.devices) > 1 else ()))
        return tuple(view for scope in scopes for view in scope.by_limit)

    @property
    def by_limit(self) -> tuple[Settings, ...]:
        """The settings `within` each limit of a list, or the study's own without a list.

        One limit may hold on several devices.
        """
        groups: dict[tuple[str, float], list[Budget]] = {}
        for limit in self.limits:
            groups.setdefault((limit.alone().metric, limit.limit), []).append(limit)
        return tuple(self.within(*group) for group in groups.values()) or (self,)

    @property
    def measures(self) -> bool:
        """Whether an objective or a budget asks for latency."""
        return any(get_metric(name).is_latency for name in self.asked)

    @property
    def asked(self) -> tuple[str, ...]:
        """Names of the metrics that an objective or a budget asks for."""
        limited = [budget.metric for budget in self.budgets]
        return tuple(sorted({*self.objectives, *limited}, key=order_of))

    @property
    def evaluated(self) -> tuple[Metric, ...]:
        """Those of them that have an `evaluate` of their own."""
        metrics = [get_metric(name) for name in self.asked]
        return tuple(metric for metric in metrics if metric.evaluate is not None)


def name_alone(metric: str, device: str) -> str:
    """The name of a metric where `device` is the only one; "" for metrics of other devices."""
    base, _, other = metric.partition("@")
    return "" if other not in ("", device) or base == LATENCY_RATIO else base
