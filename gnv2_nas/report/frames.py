"""The tidy table of a study: one row a candidate, one column a fact.

=====================  ==========================================================================
trial                  number of the trial; `study:trial` names the network on the command line
id                     content hash of the architecture
baseline               name of the stock network this is; empty for one the search found
family                 ghostnet, ghostnetv2 or mobilenetv3
feasible               whether every budget is kept
front                  whether it is on the front
quality                by the study's estimator; a score, not an accuracy
latency_ms             milliseconds a call, batch 1
latency_low_ms         lower end of its 95% interval
latency_high_ms        upper end
latency_ratio          to stock GhostNetV2 1.0 in the same rounds; less is faster
latency_ratio_low      lower end of its 95% interval
latency_ratio_high     upper end
latency_stable         whether the interval is as narrow as was asked for
latency_note           why not
macs                   multiply-adds of convolutions and linear layers: the papers' FLOPs
params                 trainable parameters
weight_bytes           weights as deployed, batch norm folded
peak_activation_bytes  most bytes of feature maps alive at once
memory_bytes           the sum of these two
resolution             height and width of the image, pixels
stage_widths           output channels of each stage × blocks
stage_expansions       hidden over input channels, mean of each stage
dfc_modules            Ghost modules that carry DFC attention
excess                 largest amount over a budget, relative to it; 0 when feasible
broken_budgets         the budgets that are broken, as the user wrote them
origin                 stock, random (initial design), model, sampler, or change (to the
                       recommended network); empty in older studies
predicted_quality      what the search's models said of it before it was scored
predicted_quality_std  standard deviation of that
predicted_latency_ms   the same of its latency: a prediction, not a measurement
predicted_latency_std  standard deviation of that, milliseconds
=====================  ==========================================================================

What was not measured is missing (NaN, an empty field, null).
"""

from __future__ import annotations

from typing import Any

import pandas as pd

from gnv2_nas.report.architecture_text import attention_modules, stage_expansions, stage_widths
from gnv2_nas.search.analysis.pareto import front
from gnv2_nas.search.study.records import Candidate, ObjectiveName, StudyRecord

_TYPES = {
    "trial": "int64",
    "id": "str",
    "baseline": "str",
    "family": "str",
    "feasible": "bool",
    "front": "bool",
    "quality": "float64",
    "latency_ms": "float64",
    "latency_low_ms": "float64",
    "latency_high_ms": "float64",
    "latency_ratio": "float64",
    "latency_ratio_low": "float64",
    "latency_ratio_high": "float64",
    "latency_stable": "boolean",
    "latency_note": "str",
    "macs": "int64",
    "params": "int64",
    "weight_bytes": "int64",
    "peak_activation_bytes": "int64",
    "memory_bytes": "int64",
    "resolution": "int64",
    "stage_widths": "str",
    "stage_expansions": "str",
    "dfc_modules": "int64",
    "excess": "float64",
    "broken_budgets": "str",
    "origin": "str",
    "predicted_quality": "float64",
    "predicted_quality_std": "float64",
    "predicted_latency_ms": "float64",
    "predicted_latency_std": "float64",
}


def candidates_frame(record: StudyRecord) -> pd.DataFrame:
    """One row a candidate in the order they were evaluated; columns as above."""
    return frame_of(candidate_rows(record))


def frame_of(rows: list[dict[str, Any]]) -> pd.DataFrame:
    """`candidate_rows` as a frame with the types of the columns."""
    return pd.DataFrame(rows, columns=list(_TYPES)).astype(_TYPES)


def candidate_rows(record: StudyRecord) -> list[dict[str, Any]]:
    """The rows of `candidates_frame` as plain values; None where nothing was measured."""
    members = {candidate.number for candidate in front(record)}
    return [_row(candidate, candidate.number in members) for candidate in record.candidates]


def _row(candidate: Candidate, on_front: bool) -> dict[str, Any]:
    arch, counts = candidate.architecture, candidate.counts
    return {
        "trial": candidate.number,
        "id": arch.id,
        "baseline": candidate.baseline,
        "family": arch.family,
        "feasible": candidate.feasible,
        "front": on_front,
        "quality": candidate.quality,
        **_latency(candidate),
        "macs": counts.macs,
        "params": counts.params,
        "weight_bytes": counts.weight_bytes,
        "peak_activation_bytes": counts.peak_activation_bytes,
        "memory_bytes": counts.memory_bytes,
        "resolution": arch.resolution,
        "stage_widths": stage_widths(arch),
        "stage_expansions": stage_expansions(arch),
        "dfc_modules": len(attention_modules(arch)),
        "excess": max(candidate.violations.values(), default=0.0),
        "broken_budgets": "; ".join(candidate.violations),
        "origin": candidate.origin,
        **_predicted(candidate),
    }


def _predicted(candidate: Candidate) -> dict[str, Any]:
    quality, latency = (candidate.predicted.get(name) for name in ("quality", "latency"))
    return {
        "predicted_quality": quality and quality.mean,
        "predicted_quality_std": quality and quality.std,
        "predicted_latency_ms": latency and latency.mean,
        "predicted_latency_std": latency and latency.std,
    }


def _latency(candidate: Candidate) -> dict[str, Any]:
    latency = candidate.latency
    if latency is None:
        names = [name for name in _TYPES if name.startswith("latency_")]
        return dict.fromkeys(names) | {"latency_note": ""}
    return {
        "latency_ms": latency.ms,
        "latency_low_ms": latency.ci95[0],
        "latency_high_ms": latency.ci95[1],
        "latency_ratio": latency.ratio,
        "latency_ratio_low": latency.ratio_ci95[0],
        "latency_ratio_high": latency.ratio_ci95[1],
        "latency_stable": latency.stable,
        "latency_note": latency.reason,
    }


_COLUMNS: dict[ObjectiveName, str] = {"latency": "latency_ms", "memory": "memory_bytes"}


def column(objective: ObjectiveName) -> str:
    """The column that holds `objective`, in the units of `Candidate.value`."""
    return _COLUMNS.get(objective, objective)
