"""How well the models of the search predicted what was measured later, beside simple baselines."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import groupby

import msgspec
import numpy as np
from numpy.typing import NDArray

from gnv2_nas.report.wording import list_objectives
from gnv2_nas.search.study.metrics import Metric, format_share, get_metric
from gnv2_nas.search.study.records import StudyRecord, Trial
from gnv2_nas.stats.intervals import Z95
from gnv2_nas.stats.rank_agreement import kendall_tau

_MEAN_OF_NORMAL = math.sqrt(2 / math.pi)
"""Mean absolute value of a normal variable, in standard deviations."""
_MIN_KNOWN = 2
"""Networks that a baseline needs before it predicts."""


class PredictionCheck(msgspec.Struct, frozen=True):
    """Predictions made before evaluation, compared with the values found.

    Errors are mean absolute errors, relative to the value. Those of a score are in its own unit,
    those of an accuracy in percentage points.
    """

    metric: Metric
    networks: int
    error: float
    constant: float
    """Error of predicting the mean of all earlier networks."""
    macs: float
    """Error of a straight line in multiply-adds, fitted to all earlier networks."""
    floor: float
    """Error of a perfect prediction, caused by noise in the values."""
    held: float
    """Share of values inside the 95 % interval of prediction and noise."""
    tau: float
    """Kendall's, between predictions and values."""

    def format(self, error: float) -> str:
        """An error as the page shows it: "3.9%", for quality "0.31"."""
        if self.metric.name != "quality":
            return format_share(error)
        return f"{error:.1f}" if error >= 1 else f"{error:.2g}"


def prediction_checks(record: StudyRecord) -> list[PredictionCheck]:
    """One for each objective that was predicted, in the order of the objectives."""
    return [
        check
        for one in list_objectives(record)
        if (check := _check(record.trials, one, record.quality_info.noise)) is not None
    ]


def _check(trials: Sequence[Trial], one: Metric, noise: float) -> PredictionCheck | None:
    if not any(one.name in trial.predicted for trial in trials):
        return None
    known = [each for each in trials if math.isfinite(each.value(one.name))]
    tried, baselines = _with_baselines(known, one.name)
    if not tried:
        return None
    found = np.array([each.value(one.name) for each in tried])
    mean, std = np.array([msgspec.structs.astuple(each.predicted[one.name]) for each in tried]).T
    luck = np.array([_noise(each, one.name, noise) for each in tried])
    scale = np.ones_like(found) if one.name == "quality" else abs(found)
    tries = np.column_stack([mean, baselines])
    errors = (abs(tries - found[:, None]) / scale[:, None]).mean(axis=0)
    return PredictionCheck(
        metric=one,
        networks=len(tried),
        error=float(errors[0]),
        constant=float(errors[1]),
        macs=float(errors[2]),
        floor=_MEAN_OF_NORMAL * float((luck / scale).mean()),
        held=float((abs(mean - found) <= Z95 * np.hypot(std, luck)).mean()),
        tau=kendall_tau(mean.tolist(), found.tolist()),
    )


def _with_baselines(known: Sequence[Trial], name: str) -> tuple[list[Trial], NDArray[np.float64]]:
    """The predicted networks, and (n, 2) predictions of a constant and of a line in multiply-adds.

    Both are fitted to all earlier networks outside the same batch.
    """
    macs = np.array([float(one.counts.macs) for one in known])
    macs -= macs.mean() if len(macs) else 0.0
    values = np.array([one.value(name) for one in known])
    terms = np.stack([macs, values, macs**2, macs * values])
    sums = np.concatenate([np.zeros((4, 1)), terms.cumsum(axis=1)], axis=1)
    starts = [start for start, batch in _batches(known) for _ in range(batch)]
    rows = [
        row for row, one in enumerate(known) if name in one.predicted and starts[row] >= _MIN_KNOWN
    ]
    before = np.array([starts[row] for row in rows], int)
    x, y, xx, xy = sums[:, before] / np.maximum(before, 1)
    spread = xx - x**2
    slope = np.divide(xy - x * y, spread, out=np.zeros_like(x), where=spread > 1e-9 * xx)
    return [known[row] for row in rows], np.column_stack([y, y + slope * (macs[rows] - x)])


def _batches(known: Sequence[Trial]) -> Iterator[tuple[int, int]]:
    """(first row, length) of each run of networks that were evaluated together."""
    start = 0
    for _, batch in groupby(known, key=_rounds):
        length = len(list(batch))
        yield start, length
        start += length


def _rounds(trial: Trial) -> str:
    """Name of the batch of a network; unique for a network without one."""
    batch = "".join(latency.batch for latency in trial.measured_on.values())
    return batch or f"trial {trial.number}"


def _noise(trial: Trial, name: str, quality_noise: float) -> float:
    """Standard deviation of a value around the truth; 0 for exact values."""
    metric, latencies = get_metric(name), trial.measured_on
    if metric.is_latency and latencies:
        latency = latencies.get(metric.device) or max(latencies.values(), key=lambda one: one.ratio)
        low, high = latency.ci95 if metric.base == "latency" else latency.ratio_ci95
        return (high - low) / 2 / Z95
    if name == "quality":
        # `noise` bounds the difference of two equal networks with 95 % probability.
        return quality_noise / Z95 / math.sqrt(2)
    return 0.0


def describe_check(check: PredictionCheck) -> str:
    """The errors of one objective in words."""
    one = check.metric
    unit = " percentage points" if one.is_accuracy else ""
    shown = [f"{check.format(each)}{unit}" for each in (check.error, check.constant, check.macs)]
    return (
        f"The {one.in_text} of {check.networks:,} networks was predicted before evaluation, with a "
        f"mean error of {shown[0]}. Two baselines: the mean of all earlier networks errs by "
        f"{shown[1]}, a straight line in multiply-adds by {shown[2]}."
    )
