"""The tidy table of a study: one row per trial, and architectures in a few words."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from gnv2_nas.arch import DFC, Architecture, Block, GhostBlock
from gnv2_nas.arch.blocks import has_repghost
from gnv2_nas.measurement.records.record import Measurement
from gnv2_nas.search.analysis.pareto import study_front
from gnv2_nas.search.study.metrics import LATENCY_RATIO, METRICS, get_metric
from gnv2_nas.search.study.records import StudyRecord, Trial
from gnv2_nas.search.study.settings import Settings

_KINDS_SHOWN = 4


def width_groups(arch: Architecture) -> list[list[tuple[int, Block]]]:
    """Consecutive blocks of one resolution and width, each with its number of input channels."""
    found: list[list[tuple[int, Block]]] = []
    channels = arch.stem_channels
    for block in arch.blocks:
        previous = found[-1][-1][1] if found else None
        if previous is None or block.stride == 2 or block.out_channels != previous.out_channels:
            found.append([])
        found[-1].append((channels, block))
        channels = block.out_channels
    return found


def format_widths(arch: Architecture) -> str:
    """Output channels × number of blocks of each width group: "16 24×2 40×2"."""
    texts = []
    for group in width_groups(arch):
        width = group[0][1].out_channels
        texts.append(f"{width}×{len(group)}" if len(group) > 1 else str(width))
    return " ".join(texts)


def format_expansions(arch: Architecture) -> str:
    """Mean ratio of hidden to input channels in each width group: "1.0 2.5"."""
    texts = []
    for group in width_groups(arch):
        ratios = [block.hidden_channels / channels for channels, block in group]
        texts.append(f"{sum(ratios) / len(ratios):.1f}")
    return " ".join(texts)


def list_attention_modules(arch: Architecture) -> list[tuple[int, str, DFC]]:
    """(block, "first" or "second" Ghost module, DFC) of every DFC module."""
    found = []
    for index, block in enumerate(arch.blocks):
        if isinstance(block, GhostBlock):
            for place, module in (("first", block.ghost1), ("second", block.ghost2)):
                if module.dfc is not None:
                    found.append((index, place, module.dfc))
    return found


def describe_architecture(arch: Architecture) -> list[str]:
    """Lines about an architecture: id and resolution, widths, expansion, RepGhost blocks, DFC."""
    adding = [index for index, block in enumerate(arch.blocks) if has_repghost(block)]
    return [
        f"id {arch.id} · {arch.family} · {arch.resolution} px",
        f"widths  {format_widths(arch)}",
        f"expansion  {format_expansions(arch)}",
        *([f"RepGhost modules: {_ranges(adding)}"] if adding else []),
        *_describe_attention(arch),
    ]


def _describe_attention(arch: Architecture) -> list[str]:
    places: dict[tuple[str, DFC], list[int]] = {}
    for index, place, dfc in list_attention_modules(arch):
        places.setdefault((place, dfc), []).append(index)
    if not places:
        return ["no DFC attention"]
    lines = [
        f"DFC {dfc.kernel_h}×{dfc.kernel_w} ÷{dfc.factor} {dfc.pool}, {dfc.resize}: "
        f"{place} module of {_ranges(blocks)}"
        for (place, dfc), blocks in places.items()
    ]
    hidden = len(lines) - _KINDS_SHOWN
    if hidden <= 0:
        return lines
    return [*lines[:_KINDS_SHOWN], f"and {hidden} more kind{'s' if hidden > 1 else ''} of DFC"]


def _ranges(numbers: list[int]) -> str:
    """[2, 3, 4, 7] → "blocks 2–4, 7"."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    texts = [f"{run[0]}–{run[-1]}" if len(run) > 1 else str(run[0]) for run in runs]
    return f"block{'s' if len(numbers) > 1 else ''} {', '.join(texts)}"


_EVALUATED = tuple(metric for metric in METRICS.values() if metric.evaluate is not None)

COLUMNS: Mapping[str, tuple[str, str]] = {
    "trial": ("int64", "number of the trial; `study:trial` names the network on the command line"),
    "id": ("str", "content hash of the architecture"),
    "baseline": ("str", "name of the stock network this is; empty for one the search found"),
    "family": ("str", "ghostnet, ghostnetv2, mobilenetv3 or repghostnet"),
    "feasible": ("bool", "whether every budget is kept"),
    "front": ("bool", "whether it is on the front"),
    "quality": ("float64", "score or accuracy by the study's estimator"),
    "latency_ms": ("float64", "milliseconds per call, batch 1"),
    "latency_low_ms": ("float64", "lower end of its 95% interval"),
    "latency_high_ms": ("float64", "upper end"),
    "latency_ratio": ("float64", "to stock GhostNetV2 1.0 in the same rounds; less is faster"),
    "latency_ratio_low": ("float64", "lower end of its 95% interval"),
    "latency_ratio_high": ("float64", "upper end"),
    "latency_stable": ("boolean", "whether the interval is as narrow as requested"),
    "latency_note": ("str", "why it is not"),
    "latency_reused": ("boolean", "whether it comes from a record of an earlier measurement"),
    "macs": ("int64", "multiply-adds of convolutions and linear layers: the papers' FLOPs"),
    "params": ("int64", "trainable parameters"),
    "weight_bytes": ("int64", "weights as deployed, batch norm folded"),
    "peak_activation_bytes": ("int64", "peak memory of the feature maps"),
    "memory_bytes": ("int64", "the sum of these two"),
    **{each.column: ("float64", f"{each.title}, in base units") for each in _EVALUATED},
    "resolution": ("int64", "height and width of the image, pixels"),
    "stage_widths": ("str", "output channels × number of blocks of equal resolution and width"),
    "stage_expansions": ("str", "hidden over input channels, mean over the same blocks"),
    "dfc_modules": ("int64", "Ghost modules that carry DFC attention"),
    "excess": ("float64", "largest relative excess over a budget; 0 when feasible"),
    "broken_budgets": ("str", "the broken budgets as the user wrote them"),
    "origin": (
        "str",
        "stock, random (initial design), model, sampler, or change (to the "
        "recommended network); empty in older studies",
    ),
    "predicted_quality": (
        "float64",
        "quality that the search's models predicted before evaluation",
    ),
    "predicted_quality_std": ("float64", "standard deviation of that prediction"),
    "predicted_latency_ms": ("float64", "latency that they predicted; not a measurement"),
    "predicted_latency_std": ("float64", "standard deviation of that prediction, milliseconds"),
}
"""Column → (type, meaning). Values that were not measured are missing: NaN, empty or null."""


_PREDICTED_LATENCY = ("predicted_latency_ms", "predicted_latency_std")
_WORST = get_metric(LATENCY_RATIO).column


def list_columns(settings: Settings) -> dict[str, tuple[str, str]]:
    """The columns of a study: `COLUMNS`, where what differs between several devices has one each.

    "latency_ms" then becomes "latency_ms@cpu" and "latency_ms@pi5", and the worst ratio is added.
    """
    labels = settings.device_labels
    if len(labels) < 2:
        return dict(COLUMNS)
    evaluated = {each.column for each in _EVALUATED}
    columns: dict[str, tuple[str, str]] = {}
    for name, (type_, meaning) in COLUMNS.items():
        if name.startswith("latency_") or name in (*_PREDICTED_LATENCY, *evaluated):
            columns |= {f"{name}@{label}": (type_, f"{meaning}; on {label}") for label in labels}
        else:
            columns[name] = type_, meaning
        if name == "quality":
            columns[_WORST] = "float64", "the largest ratio to stock GhostNetV2 1.0 on any device"
    return columns


def trials_frame(record: StudyRecord) -> pd.DataFrame:
    """One row per trial in order of evaluation; columns as in `list_columns`."""
    return make_frame(record.settings, trial_rows(record))


def make_frame(settings: Settings, rows: list[dict[str, Any]]) -> pd.DataFrame:
    """`trial_rows` as a typed frame."""
    types = {name: type_ for name, (type_, _) in list_columns(settings).items()}
    return pd.DataFrame(rows, columns=list(types)).astype(types)


def trial_rows(record: StudyRecord) -> list[dict[str, Any]]:
    """The rows of `trials_frame` as plain values; None for what was not measured."""
    members, labels = {trial.number for trial in study_front(record)}, record.settings.device_labels
    return [_row(trial, trial.number in members, labels) for trial in record.trials]


def _row(trial: Trial, on_front: bool, labels: Sequence[str]) -> dict[str, Any]:
    arch, counts, broken = trial.architecture, trial.counts, trial.broken_budgets
    return {
        "trial": trial.number,
        "id": arch.id,
        "baseline": trial.baseline,
        "family": arch.family,
        "feasible": trial.feasible,
        "front": on_front,
        "quality": trial.quality,
        "macs": counts.macs,
        "params": counts.params,
        "weight_bytes": counts.weight_bytes,
        "peak_activation_bytes": counts.peak_activation_bytes,
        "memory_bytes": counts.memory_bytes,
        "resolution": arch.resolution,
        "stage_widths": format_widths(arch),
        "stage_expansions": format_expansions(arch),
        "dfc_modules": len(list_attention_modules(arch)),
        "excess": max(broken.values(), default=0.0),
        "broken_budgets": "; ".join(broken),
        "origin": trial.origin,
        **_predicted(trial, "quality", "predicted_quality", "predicted_quality_std"),
        **(_on_devices(trial, labels) if len(labels) > 1 else _on_device(trial, trial.latency)),
    }


def _on_devices(trial: Trial, labels: Sequence[str]) -> dict[str, Any]:
    """What differs between the devices of a study."""
    worst = trial.value(LATENCY_RATIO)
    row: dict[str, Any] = {_WORST: None if math.isnan(worst) else worst}
    for label in labels:
        on_device = _on_device(trial, trial.latencies.get(label), f"@{label}")
        row |= {f"{name}@{label}": value for name, value in on_device.items()}
    return row


def _on_device(trial: Trial, latency: Measurement | None, suffix: str = "") -> dict[str, Any]:
    return {
        **_latency(latency),
        **{each.column: trial.measured.get(f"{each.name}{suffix}") for each in _EVALUATED},
        **_predicted(trial, f"latency{suffix}", *_PREDICTED_LATENCY),
    }


def _predicted(trial: Trial, metric: str, mean: str, std: str) -> dict[str, Any]:
    predicted = trial.predicted.get(metric)
    return {mean: predicted and predicted.mean, std: predicted and predicted.std}


def _latency(latency: Measurement | None) -> dict[str, Any]:
    if latency is None:
        names = [name for name in COLUMNS if name.startswith("latency_")]
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
        "latency_reused": latency.reused,
    }
