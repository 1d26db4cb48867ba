"""The headline and the cards of the page: what to take, and what it gains over stock.

An interval that leaves a question open is answered with "cannot tell". Where nothing was gained,
the answer says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec

from gnv2_nas.devices.panel import REFERENCE
from gnv2_nas.report.wording import (
    format_excess,
    format_reference,
    format_values,
    list_objectives,
    recommended_title,
)
from gnv2_nas.search.analysis.baselines import latency_ratio, latency_ratio_interval, preset_name
from gnv2_nas.search.analysis.gains import Gain, GainVerdict
from gnv2_nas.search.analysis.pareto import find_nearest_to_budgets
from gnv2_nas.search.analysis.recommendation import Recommendation
from gnv2_nas.search.analysis.views import capitalize, join_words
from gnv2_nas.search.study.metrics import Metric, format_share, get_metric
from gnv2_nas.search.study.records import StudyRecord, Trial

Tone = Literal["good", "unclear", "plain"]
STOCK_TITLE = "stock GhostNetV2 1.0"
_TONES: dict[GainVerdict, Tone] = {"better": "good", "unclear": "unclear", "none": "plain"}
_PREFIXES: dict[GainVerdict, str] = {
    "better": "", "unclear": "Cannot tell: ", "none": "Not better than stock: ",
}  # fmt: skip


class Finding(msgspec.Struct, frozen=True):
    """One card: a question, the network that answers it, and the answer in words."""

    title: str
    trial: Trial | None
    text: str
    tone: Tone


class Answer(msgspec.Struct, frozen=True):
    """The headline of the page and the cards below it."""

    headline: str
    tone: Tone
    findings: tuple[Finding, ...] = ()


def write_answer(record: StudyRecord, found: Recommendation) -> Answer:
    """Put what `record` recommends into words."""
    best, stock = found.recommended, found.stock
    if best is None:
        return Answer(_no_front(record), "plain")
    if stock is None:
        headline = (
            f"{format_reference(record, best)} is the {recommended_title(record)} found: "
            f"{format_values(record, best)}. {_without_stock(record)}"
        )
        return Answer(headline, "plain", (_compromise(record, found, best),))
    headline, tone = _headline(record, found.gains, stock, best)
    findings = [_finding(record, gain, stock) for gain in found.gains]
    if len(found.gains) > 1 or found.gains[0].trial is not best:
        findings.insert(0, _compromise(record, found, best))
    return Answer(headline, tone, tuple(findings))


def _without_stock(record: StudyRecord) -> str:
    outside = any(preset_name(one.baseline) == REFERENCE for one in record.trials)
    if not outside:
        return f"This study does not contain {STOCK_TITLE}, so no gain can be stated."
    score = record.quality_info.in_text
    return f"The {score} of {STOCK_TITLE} is not known, so no gain can be stated."


def _no_front(record: StudyRecord) -> str:
    if not record.trials:
        return "Nothing has been evaluated yet, so there is nothing to recommend."
    if any(trial.feasible for trial in record.trials):
        return "No network that keeps the budgets has a value for every objective yet."
    nearest = find_nearest_to_budgets(record.trials)
    return (
        f"None of the {len(record.trials):,} evaluated networks keeps every budget. "
        f"The nearest is {format_reference(record, nearest)}, {format_excess(nearest)}."
    )


def _headline(
    record: StudyRecord, gains: Sequence[Gain], stock: Trial, best: Trial
) -> tuple[str, Tone]:
    told = [(gain, gain.trial) for gain in gains if gain.trial is not None]
    for gain, trial in sorted(told, key=lambda each: each[0].verdict != "better"):
        name, words = format_reference(record, trial), _describe(record, gain, trial, stock)
        if gain.verdict == "better":
            return f"{name} has {words}.", "good"
        if gain.verdict == "unclear":
            return f"Cannot tell whether {name} beats {STOCK_TITLE}: {words}.", "unclear"
    if stock.feasible:
        return f"No network found beats {STOCK_TITLE}.", "plain"
    return (
        f"No network found is as good as {STOCK_TITLE}, but stock is {format_excess(stock)}. "
        f"Within the budgets, the {recommended_title(record)} is {format_reference(record, best)}, "
        f"{format_values(record, best)}."
    ), "plain"


def _compromise(record: StudyRecord, found: Recommendation, best: Trial) -> Finding:
    single, stock = len(record.settings.objectives) == 1, found.stock
    title = "Best network" if single else "Best compromise: the knee of the front"
    if stock is None or stock is best:
        sentences = [capitalize(f"{format_values(record, best)}.")]
    else:
        pairs = (
            f"{one.in_text} {_format_pair(one, best, stock)}" for one in list_objectives(record)
        )
        sentences = [capitalize(f"{'; '.join(pairs)}.")]
    if best.baseline:
        sentences.append(f"It is a stock network, {best.baseline}.")
    if not best.is_stable:
        sentences.append(f"Its latency is not stable{_explain_instability(record, best)}.")
    elif unstable := sum(not one.is_stable for one in found.front):
        total, stable = len(found.front), len(found.front) - unstable
        chosen = "is the only one" if stable == 1 else f"was chosen among the {stable}"
        sentences.append(f"It {chosen} of {total} networks on the front with a stable latency.")
    return Finding(title, best, " ".join(sentences), "plain")


def _explain_instability(record: StudyRecord, trial: Trial) -> str:
    """Each reason once: ": preemption", on several devices " on cpu and pi5: preemption"."""
    devices: dict[str, list[str]] = {}
    for device, latency in trial.measured_on.items():
        if not latency.stable:
            devices.setdefault(latency.reason, []).append(device)
    several = len(record.settings.devices) > 1
    return ";".join(
        f"{f' on {join_words(names)}' if several else ''}: {reason}"
        for reason, names in devices.items()
    )


def _finding(record: StudyRecord, gain: Gain, stock: Trial) -> Finding:
    title = get_metric(gain.objective, record.quality_info).question
    if len(record.settings.objectives) > 1:
        title += ", no worse than stock otherwise"
    if gain.trial is None:
        others = [one.in_text for one in _other_objectives(record, gain)]
        text = f"No network found reaches stock’s {join_words(others)}."
    else:
        words = _describe(record, gain, gain.trial, stock)
        text = capitalize(f"{_PREFIXES[gain.verdict]}{words}.")
    return Finding(title, gain.trial, text, _TONES[gain.verdict])


def _describe(record: StudyRecord, gain: Gain, trial: Trial, stock: Trial) -> str:
    """The difference from stock in one objective, and how the other objectives compare."""
    metric = get_metric(gain.objective, record.quality_info)
    pair = _format_pair(metric, trial, stock)
    if gain.verdict == "better":
        words = _describe_advantage(metric, trial, stock)
    elif gain.verdict == "none":
        words = f"{metric.in_text} {pair}"
    elif metric.is_latency:
        words = f"its {metric.in_text} is {_format_ratio(metric, trial, stock)}, which includes 1"
    else:
        noise = metric.format_noise()
        words = f"its {metric.in_text} is {pair}, a difference within its noise of about {noise}"
    others = [_describe_no_worse(one, trial, stock) for one in _other_objectives(record, gain)]
    return f"{words}, at {join_words(others)}" if others else words


def _describe_advantage(metric: Metric, trial: Trial, stock: Trial) -> str:
    """ "18% lower latency than stock GhostNetV2 1.0 (95% interval 17% to 19%)"."""
    pair = _format_pair(metric, trial, stock)
    if metric.name == "quality":
        return f"a better {metric.in_text} than {STOCK_TITLE} ({pair})"
    if not metric.is_latency:
        share = 1 - trial.value(metric.name) / stock.value(metric.name)
        return f"{format_share(share)} {metric.less} than {STOCK_TITLE} ({pair})"
    low, high = latency_ratio_interval(trial, stock, metric.device)
    less = format_share(1 - latency_ratio(trial, stock, metric.device))
    bound = "" if metric.base == "latency" else "at least "
    return (
        f"{bound}{less} {metric.less} than {STOCK_TITLE} "
        f"(95% interval {format_share(1 - high)} to {format_share(1 - low)})"
    )


def _describe_no_worse(metric: Metric, trial: Trial, stock: Trial) -> str:
    unclear = metric.is_latency and latency_ratio_interval(trial, stock, metric.device)[1] >= 1
    words = (
        f"a {metric.in_text} that cannot be distinguished from stock’s"
        if unclear
        else metric.no_worse
    )
    return f"{words} ({_format_pair(metric, trial, stock)})"


def _format_pair(metric: Metric, trial: Trial, stock: Trial) -> str:
    """Both values of an objective; for latency, the ratio and its interval."""
    value = metric.format(trial.value(metric.name))
    if metric.is_latency:
        ratio = _format_ratio(metric, trial, stock)
        return f"{value}, {ratio}" if metric.base == "latency" else ratio
    return f"{value} against {metric.format(stock.value(metric.name))}"


def _format_ratio(metric: Metric, trial: Trial, stock: Trial) -> str:
    low, high = latency_ratio_interval(trial, stock, metric.device)
    ratio = latency_ratio(trial, stock, metric.device)
    return f"{ratio:.3f} of stock’s with a 95% interval of {low:.3f} to {high:.3f}"


def _other_objectives(record: StudyRecord, gain: Gain) -> list[Metric]:
    return [one for one in list_objectives(record) if one.name != gain.objective]
