"""How well the search's models predicted what was then measured, beside what needs no model."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import groupby

import msgspec
import numpy as np

from gnv2_nas.profiling.record import NORMAL_95
from gnv2_nas.regression.kendall import kendall_tau
from gnv2_nas.report.terms import Term, format_share
from gnv2_nas.report.wording import terms_of
from gnv2_nas.search.records import Candidate, ObjectiveName, StudyRecord

_MEAN_OF_NORMAL = math.sqrt(2 / math.pi)
"""Mean absolute value of a normal variable, in standard deviations."""
_FEWEST = 2
"""Networks known before a line through them is drawn."""


class PredictionCheck(msgspec.Struct, frozen=True):
    """Predictions made before evaluating against what was found; errors are mean absolute ones,
    relative to the value but for quality, which is in its own unit."""

    term: Term
    networks: int
    error: float
    constant: float
    """Of the mean of what was known before."""
    macs: float
    """Of the straight line through the multiply-adds of what was known before."""
    floor: float
    """What measuring itself, or luck, leaves of a perfect prediction; NaN where not known."""
    held: float
    """Share of values within the 95 % interval of their prediction, measuring allowed for."""
    tau: float
    """Kendall's, between predictions and values."""

    def format(self, error: float) -> str:
        """An error as the page shows it: "3.9%", for quality "0.31"."""
        if math.isnan(error):
            return "not known"
        return (
            f"{error:.2g}{self.term.unit}" if self.term.name == "quality" else format_share(error)
        )


def prediction_checks(record: StudyRecord) -> list[PredictionCheck]:
    """One for each objective that was predicted, in the order of the objectives."""
    return [
        check
        for one in terms_of(record)
        if (check := _check(record.candidates, one, record.quality_info.noise)) is not None
    ]


def _check(candidates: Sequence[Candidate], one: Term, noise: float) -> PredictionCheck | None:
    if not any(one.name in candidate.predicted for candidate in candidates):
        return None
    tried = [
        (candidate, baselines)
        for candidate, baselines in _with_baselines(candidates, one.name)
        if one.name in candidate.predicted
    ]
    if not tried:
        return None
    found = np.array([candidate.value(one.name) for candidate, _ in tried])
    predicted = np.array([candidate.predicted[one.name].mean for candidate, _ in tried])
    model_std = np.array([candidate.predicted[one.name].std for candidate, _ in tried])
    noise_std = np.array([_noise(candidate, one.name, noise) for candidate, _ in tried])
    scale = np.ones_like(found) if one.name == "quality" else abs(found)
    others = np.array([baselines for _, baselines in tried])
    errors = abs(np.column_stack([predicted, others]) - found[:, None]) / scale[:, None]
    allowed = NORMAL_95 * np.hypot(model_std, np.nan_to_num(noise_std))
    error, constant, macs = (float(column.mean()) for column in errors.T)
    return PredictionCheck(
        term=one, networks=len(tried), error=error, constant=constant, macs=macs,
        floor=_MEAN_OF_NORMAL * float((noise_std / scale).mean()),
        held=float((abs(predicted - found) <= allowed).mean()),
        tau=kendall_tau(predicted.tolist(), found.tolist()),
    )  # fmt: skip


def _with_baselines(
    candidates: Sequence[Candidate], name: ObjectiveName
) -> Iterator[tuple[Candidate, tuple[float, float]]]:
    """Each candidate with a value, and what a constant and a line through the multiply-adds say
    of it, fitted to all before it that did not share its rounds."""
    known = [one for one in candidates if math.isfinite(one.value(name))]
    macs, values = np.zeros(0), np.zeros(0)
    for _, batch in groupby(known, key=lambda one: _rounds(one)):
        together = list(batch)
        if len(values) >= _FEWEST:
            mean = float(values.mean())
            for one in together:
                yield one, (mean, _line(macs, values, one.counts.macs))
        macs = np.append(macs, [float(one.counts.macs) for one in together])
        values = np.append(values, [one.value(name) for one in together])


def _rounds(candidate: Candidate) -> str:
    """What names the networks that were evaluated together; a network alone where nothing does."""
    batch = "" if candidate.latency is None else candidate.latency.batch
    return batch or f"trial {candidate.number}"


def _line(macs: np.ndarray, values: np.ndarray, at: float) -> float:
    centred = macs - macs.mean()
    spread = float(centred @ centred)
    slope = float(centred @ values) / spread if spread else 0.0
    return float(values.mean()) + slope * (at - float(macs.mean()))


def _noise(candidate: Candidate, name: ObjectiveName, quality_noise: float) -> float:
    """Standard deviation of what was found around the truth; NaN where it is not known."""
    if name == "latency" and candidate.latency is not None:
        low, high = candidate.latency.ci95
        return (high - low) / 2 / NORMAL_95
    if name == "quality":
        # `noise` is what two values differ by from luck alone, 19 times of 20.
        return quality_noise / NORMAL_95 / math.sqrt(2) if quality_noise else math.nan
    return 0.0


def prediction_sentence(check: PredictionCheck) -> str:
    """One objective, in words."""
    one = check.term
    unit = " percentage points" if one.is_accuracy else ""
    shown = [
        f"{error:.2g}{unit}" if one.name == "quality" else format_share(error)
        for error in (check.error, check.constant, check.macs)
    ]
    return (
        f"The {one.in_text} of {check.networks:,} networks was predicted before it was known, with "
        f"a mean error of {shown[0]}. The mean of what was known by then errs by {shown[1]}, a "
        f"line through the multiply-adds by {shown[2]}."
    )
