"""Phrases that compare a network with stock GhostNetV2 1.0."""

from __future__ import annotations

from collections.abc import Iterable

from gnv2_nas.commands import format_command
from gnv2_nas.search.analysis.baselines import latency_ratio, latency_ratio_interval
from gnv2_nas.search.analysis.recommendation import Gain
from gnv2_nas.search.study.defaults import STORAGE
from gnv2_nas.search.study.metrics import Metric, format_share, get_metric
from gnv2_nas.search.study.records import StudyRecord, Trial

STOCK_TITLE = "stock GhostNetV2 1.0"


def format_reference(record: StudyRecord, trial: Trial) -> str:
    """`study:number`, the name of a network on the command line."""
    return f"{record.name}:{trial.number}"


def next_command(record: StudyRecord, trial: Trial) -> str:
    """The next command for a network: training when the study has images, else an export."""
    name, settings = format_reference(record, trial), record.settings
    elsewhere = record.storage not in ("", STORAGE)
    storage = [("--storage", record.storage)] if elsewhere else []
    if not settings.data:
        return format_command("export", name, options=[("--format", "onnx"), *storage])
    options = [("--data", settings.data)]
    spec = settings.quality_spec
    if spec.name == "supernet" and spec.file and not trial.baseline:
        options.append(("--from-supernet", spec.file))
    return format_command("train", name, options=[*options, *storage])


def list_objectives(record: StudyRecord) -> list[Metric]:
    """The metrics of a study's objectives, in order."""
    return [get_metric(name, record.quality_info) for name in record.settings.objectives]


def recommended_title(record: StudyRecord) -> str:
    """Name of the recommended network: with one objective there is no compromise."""
    return "best network" if len(record.settings.objectives) == 1 else "best compromise"


def format_values(record: StudyRecord, trial: Trial) -> str:
    """All objectives of a network: "Zen-score 93.4, latency 6.12 ms"."""
    return ", ".join(
        f"{one.in_text} {one.format(trial.value(one.name))}" for one in list_objectives(record)
    )


def format_excess(trial: Trial) -> str:
    """The budgets a network breaks: "over 12ms by 8.1%"."""
    return "over " + " and ".join(
        f"{text} by {format_share(excess)}" for text, excess in trial.broken_budgets.items()
    )


def describe_gain(record: StudyRecord, gain: Gain, stock: Trial) -> str:
    """The advantage of a better network: "18% lower latency than stock … at no lower …"."""
    trial = gain.trial
    assert trial is not None  # noqa: S101  the caller checked the verdict
    better = get_metric(gain.objective, record.quality_info)
    if better.name == "latency":
        low, high = latency_ratio_interval(trial, stock)
        lead = (
            f"{format_share(1 - latency_ratio(trial, stock))} lower latency than "
            f"{STOCK_TITLE} (95% interval {format_share(1 - high)} to {format_share(1 - low)})"
        )
    elif better.name == "quality":
        lead = f"a better {better.in_text} than {STOCK_TITLE} ({format_pair(better, trial, stock)})"
    else:
        share = 1 - trial.value(better.name) / stock.value(better.name)
        lead = (
            f"{format_share(share)} {better.less} than {STOCK_TITLE} "
            f"({format_pair(better, trial, stock)})"
        )
    return lead + _at_equal(record, gain, stock)


def describe_doubt(record: StudyRecord, gain: Gain, stock: Trial) -> str:
    """Why a network cannot be distinguished from stock."""
    trial = gain.trial
    assert trial is not None  # noqa: S101  the caller checked the verdict
    one = get_metric(gain.objective, record.quality_info)
    if one.name == "latency":
        lead = f"its latency is {_ratio(trial, stock)}, which includes 1"
    else:
        lead = (
            f"its {one.in_text} is {format_pair(one, trial, stock)}, a difference within "
            f"its noise of about {one.format_noise()}"
        )
    return lead + _at_equal(record, gain, stock)


def describe_shortfall(record: StudyRecord, gain: Gain, stock: Trial) -> str:
    """Why no network is better than stock."""
    if gain.trial is None:
        others = _others(record, gain.objective)
        return f"No network found reaches stock’s {_and(one.in_text for one in others)}."
    one = get_metric(gain.objective, record.quality_info)
    return (
        f"Not better than stock: {one.in_text} {format_pair(one, gain.trial, stock)}"
        f"{_at_equal(record, gain, stock)}."
    )


def format_pair(one: Metric, trial: Trial, stock: Trial) -> str:
    """Both values of an objective; for latency, the ratio and its interval."""
    if one.name == "latency":
        return f"{one.format(trial.value(one.name))}, {_ratio(trial, stock)}"
    return f"{one.format(trial.value(one.name))} against {one.format(stock.value(one.name))}"


def _ratio(trial: Trial, stock: Trial) -> str:
    low, high = latency_ratio_interval(trial, stock)
    ratio = latency_ratio(trial, stock)
    return f"{ratio:.3f} of stock’s with a 95% interval of {low:.3f} to {high:.3f}"


def _at_equal(record: StudyRecord, gain: Gain, stock: Trial) -> str:
    others = _others(record, gain.objective)
    if not others or gain.trial is None:
        return ""
    trial = gain.trial
    return f", at {_and(_no_worse(one, trial, stock) for one in others)}"


def _no_worse(one: Metric, trial: Trial, stock: Trial) -> str:
    unclear = one.name == "latency" and latency_ratio_interval(trial, stock)[1] >= 1
    words = "a latency that cannot be distinguished from stock’s" if unclear else one.no_worse
    return f"{words} ({format_pair(one, trial, stock)})"


def _others(record: StudyRecord, objective: str) -> list[Metric]:
    return [one for one in list_objectives(record) if one.name != objective]


def _and(parts: Iterable[str]) -> str:
    *first, last = parts
    return f"{', '.join(first)} and {last}" if first else last
