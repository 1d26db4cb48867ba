"""Metrics: what each number of a network is called, where it comes from, which way is better.

Objectives, budgets, constraints, the columns of tables, CSV and JSON, and the words of the report
all read `METRICS`. A new metric is one entry in it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal, Protocol, TypeVar

import msgspec

from gnv2_nas.errors import UnknownNameError
from gnv2_nas.graph import Counts
from gnv2_nas.measurement.peak_memory import check_tells_memory, measure_peak_memory
from gnv2_nas.measurement.records.record import Measurement
from gnv2_nas.quality import EstimatorInfo
from gnv2_nas.runner.lock import DeviceLock, Waiting
from gnv2_nas.units import Dimension, format_quantity

if TYPE_CHECKING:
    from gnv2_nas.devices.device import Device
    from gnv2_nas.devices.profile import DeviceProfile
    from gnv2_nas.formats.foreign.network import TimedNetwork


Value = TypeVar("Value")


class Known(Protocol):
    """What is known of a network; a trial is one."""

    @property
    def counts(self) -> Counts: ...
    @property
    def quality(self) -> float | None: ...
    @property
    def latencies(self) -> Mapping[str, Measurement | None]: ...
    @property
    def measured(self) -> Mapping[str, float]: ...


class Counted(msgspec.Struct, frozen=True):
    """A network of which only the counts are known."""

    counts: Counts
    quality: None = None
    latencies: Mapping[str, Measurement | None] = {}
    measured: Mapping[str, float] = {}


class Metric(msgspec.Struct, frozen=True, kw_only=True):
    """A number that every network has.

    Its value comes from one of three sources: `count` computes it from the graph, `evaluate`
    measures it when an objective or a budget asks for it, or the search loop itself knows it
    (quality and latency).
    """

    name: str
    """"latency@pi5" is the latency on device pi5 in a study of several devices."""
    title: str
    in_text: str
    """The title within a sentence."""
    column: str
    """Column of the tidy table, in base units."""
    less: str
    """What the better of two networks has."""
    no_worse: str
    question: str
    """Title of the card that asks for the best network in this metric."""
    dimension: Dimension | None = None
    """Of a budget on it; None for a score, which takes no budget."""
    unit: str = ""
    scale: float = 1.0
    """One `unit` in base units: an axis shows values divided by it."""
    direction: Literal["minimize", "maximize"] = "minimize"
    count: Callable[[Counts], float] | None = None
    """The exact value by arithmetic; None where the network must be evaluated."""
    evaluate: Callable[[Sequence[TimedNetwork], Device, Waiting], Sequence[float]] | None = None
    """Measures the values of networks on a device. They are kept in the trials' `measured`."""
    check: Callable[[str, DeviceProfile], None] | None = None
    """Raises `InputError` if a device, given by name and profile, cannot evaluate it."""
    note: str = ""
    noise: float = 0.0
    """Differences up to this say nothing; 0 where arithmetic or an interval decides."""
    is_accuracy: bool = False
    device: str = ""
    """The device it is of; "" in a study of one device."""

    @property
    def base(self) -> str:
        """The name without that of the device."""
        return self.name.partition("@")[0]

    @property
    def is_latency(self) -> bool:
        """Whether it needs latencies."""
        return self.base in ("latency", LATENCY_RATIO)

    @property
    def differs(self) -> bool:
        """Whether each device has a value of its own."""
        return self.evaluate is not None or self.base == "latency"

    def value(self, known: Known) -> float:
        """The value of a network in base units; NaN where it is not known."""
        if self.count is not None:
            return self.count(known.counts)
        if self.evaluate is not None:
            return known.measured.get(self.name, math.nan)
        if self.base == "latency":
            return latency_value(known.latencies, self.device)
        if self.name == LATENCY_RATIO:
            return worst_ratio(known.latencies)
        return math.nan if known.quality is None else known.quality

    def loss(self, known: Known) -> float:
        """The value with its sign turned where more is better: less is better."""
        value = self.value(known)
        return -value if self.direction == "maximize" else value

    @property
    def axis_title(self) -> str:
        if self.is_accuracy:
            return f"{self.title}, {self.unit}"
        extra = self.unit or self.note
        return f"{self.title} ({extra})" if extra else self.title

    @property
    def column_title(self) -> str:
        """Over a column of values without their unit: "accuracy, %", "Zen-score"."""
        return f"accuracy, {self.unit}" if self.is_accuracy else self.title

    def format(self, value: float) -> str:
        """A value in base units, for reading: "6.12 ms", "Zen-score" 93.4, an accuracy "93.4%"."""
        if math.isnan(value):
            return "not known"
        if self.dimension is None:
            text = format_accuracy(value) if self.is_accuracy else format_score(value)
            return text + self.unit
        return format_quantity(self.dimension, value)

    def format_noise(self) -> str:
        """`noise`, for reading: "0.3", "1.9 percentage points"."""
        return f"{self.noise:.2g}{' percentage points' if self.is_accuracy else ''}"


LATENCY_RATIO = "latency-ratio"
"""The worst latency over all devices of a study, each in units of stock GhostNetV2 1.0 there."""


def artifact_bytes(
    networks: Sequence[TimedNetwork], device: Device, waiting: Waiting
) -> list[float]:
    """Return the size of the files that the device's runtime loads, of each network."""
    with DeviceLock.shared(waiting):
        files = map(device.write, networks)
        return [float(sum(map(len, each.values()))) for each in files]


_ALL = (
    Metric(
        name="quality", direction="maximize", title="Quality", in_text="quality",
        column="quality", less="a better quality", no_worse="no lower quality",
        question="Best quality",
    ),
    Metric(
        name="latency", dimension="time", title="Latency", in_text="latency",
        column="latency_ms", unit="ms", less="lower latency", no_worse="no higher latency",
        question="Fastest",
    ),
    Metric(
        name=LATENCY_RATIO, title="Worst latency", in_text="worst latency",
        column="worst_latency_ratio", unit="× stock V2 1.0", less="a lower worst latency",
        no_worse="no higher worst latency", question="Fastest on its worst device",
    ),
    Metric(
        name="macs", dimension="macs", title="FLOPs", in_text="FLOPs", column="macs",
        unit="MFLOPs", scale=1e6, less="fewer FLOPs", no_worse="no more FLOPs",
        question="Fewest FLOPs", count=lambda counts: counts.macs,
    ),
    Metric(
        name="params", dimension="params", title="Parameters", in_text="parameters",
        column="params", unit="M", scale=1e6, less="fewer parameters",
        no_worse="no more parameters", question="Fewest parameters",
        count=lambda counts: counts.params,
    ),
    Metric(
        name="memory", dimension="bytes", title="Memory", in_text="memory",
        column="memory_bytes", unit="MB", scale=1e6, less="less memory",
        no_worse="no more memory", question="Least memory",
        count=lambda counts: counts.memory_bytes,
    ),
    Metric(
        name="artifact", dimension="bytes", title="File size", in_text="file size",
        column="artifact_bytes", unit="MB", scale=1e6, less="smaller files",
        no_worse="no larger files", question="Smallest files", evaluate=artifact_bytes,
    ),
    Metric(
        name="peak-memory", dimension="bytes", title="Peak memory", in_text="peak memory",
        column="peak_memory_bytes", unit="MB", scale=1e6, less="less memory while it runs",
        no_worse="no more memory while it runs", question="Least memory while it runs",
        evaluate=measure_peak_memory, check=check_tells_memory,
    ),
)  # fmt: skip

METRICS: Mapping[str, Metric] = MappingProxyType({metric.name: metric for metric in _ALL})
"""Metrics by name. Objectives stand in this order; of a dimension, the first is the default."""


def latency_value(latencies: Mapping[str, Measurement | None], device: str) -> float:
    """Milliseconds on a device, "" for the only one; NaN where they are not known."""
    latency = latencies.get(device) if device else get_only(latencies)
    return math.nan if latency is None else latency.ms


def get_only(values: Mapping[str, Value]) -> Value | None:
    """The value of a mapping of one device; None if there are several, or none."""
    return next(iter(values.values())) if len(values) == 1 else None


def worst_ratio(latencies: Mapping[str, Measurement | None]) -> float:
    """The largest latency in units of stock GhostNetV2 1.0; NaN unless all are known."""
    known = [each.ratio for each in latencies.values() if each is not None]
    return max(known) if known and len(known) == len(latencies) else math.nan


def get_metric(name: str, quality: EstimatorInfo | None = None) -> Metric:
    """The metric of that name.

    Args:
        name: a name in `METRICS`; that of a metric which differs between devices may name one
            after "@".
        quality: label of the estimator that the metric "quality" stands for.

    Raises:
        UnknownNameError: no such metric.
    """
    base, at, device = name.partition("@")
    if base not in METRICS or (at and not METRICS[base].differs):
        raise UnknownNameError("metric", name, METRICS)
    metric = METRICS[base]
    if at:
        on = f" on {device}"
        return msgspec.structs.replace(
            metric, name=name, device=device, title=metric.title + on,
            in_text=metric.in_text + on, column=f"{metric.column}@{device}",
            less=metric.less + on, no_worse=metric.no_worse + on, question=metric.question + on,
        )  # fmt: skip
    if name != "quality" or quality is None:
        return metric
    in_text = quality.in_text
    return msgspec.structs.replace(
        metric, title=quality.title, in_text=in_text, unit=quality.unit, note=quality.note,
        less=f"a better {in_text}", no_worse=f"no lower {in_text}", question=f"Best {in_text}",
        noise=quality.noise, is_accuracy=quality.is_accuracy,
    )  # fmt: skip


def loss(known: Known, name: str) -> float:
    """`Metric.loss` of the metric of that name."""
    return get_metric(name).loss(known)


def format_accuracy(per_cent: float) -> str:
    """To a tenth: a thousand held-out images do not resolve smaller differences."""
    return f"{per_cent:.1f}"


def format_score(value: float) -> str:
    """With as many decimals as tell neighbours apart: "93.41", "0.7312", "6,156,908"."""
    if abs(value) >= 1e4:
        return f"{value:,.0f}"
    return f"{value:.2f}" if abs(value) >= 10 else f"{value:.4f}"


def format_share(share: float) -> str:
    """0.184 → "18%"; one digit more below 10%, where it matters."""
    percent = 100 * share
    return f"{percent:.0f}%" if abs(percent) >= 9.95 else f"{percent:.1f}%"
