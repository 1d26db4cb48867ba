"""The headline and the cards of the page: what to take, and what it gains over stock.

An interval that leaves a question open is answered with "cannot tell". Where nothing was gained,
the answer says so.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import msgspec

from gnv2_nas.report.wording import (
    format_excess,
    format_reference,
    format_values,
    list_objectives,
    stock_title,
)
from gnv2_nas.search.analysis.baselines import latency_ratio, latency_ratio_interval
from gnv2_nas.search.analysis.gains import Gain, GainVerdict, is_no_worse, judge
from gnv2_nas.search.analysis.pareto import find_nearest_to_budgets
from gnv2_nas.search.analysis.recommendation import Recommendation
from gnv2_nas.search.analysis.views import capitalize, join_words
from gnv2_nas.search.study.metrics import Metric, format_share, get_metric
from gnv2_nas.search.study.records import StudyRecord, Trial

Tone = Literal["good", "unclear", "plain"]
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
    pick = found.recommended
    if pick is None:
        return Answer(_no_front(record), "plain")
    headline, tone = _headline(record, pick, found.stock)
    return Answer(headline, tone, tuple(_list_findings(record, found, pick, tone)))


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


def _headline(record: StudyRecord, pick: Trial, stock: Trial | None) -> tuple[str, Tone]:
    name, values = format_reference(record, pick), format_values(record, pick)
    if stock is None:
        return f"{name} is recommended: {values}. {_explain_absence(record)}", "plain"
    title = stock_title(stock)
    if pick is stock:
        return f"No network found beats {title} ({name}): {values}.", "plain"
    metrics = list_objectives(record)
    if pick.baseline or not is_no_worse(pick, stock, record.settings.objectives):
        pairs = "; ".join(f"{one.in_text} {_format_pair(one, pick, stock)}" for one in metrics)
        within = (
            "Within the budgets, the best" if record.settings.budgets else "The best compromise"
        )
        which = f"{name} ({stock_title(pick)})" if pick.baseline else name
        return (
            f"No network found is as good as {title} in every objective. "
            f"{within} is {which}: {pairs}."
        ), "plain"
    return _describe_gains(record, pick, stock)


def _describe_gains(record: StudyRecord, pick: Trial, stock: Trial) -> tuple[str, Tone]:
    """What a network that is no worse than `stock` gains, latency first: it has an interval."""
    name, title, noise = (
        format_reference(record, pick), stock_title(stock), record.quality_info.noise
    )  # fmt: skip
    metrics = sorted(list_objectives(record), key=lambda one: not one.is_latency)
    verdicts = {one.name: judge(pick, stock, one.name, noise) for one in metrics}
    gains = [one for one in metrics if verdicts[one.name] == "better"]
    told = gains or [one for one in metrics if verdicts[one.name] == "unclear"] or metrics
    equal = [_describe_no_worse(one, pick, stock) for one in metrics if one not in told]
    at = f", at {join_words(equal)}" if equal else ""
    if not gains:
        doubts = join_words([_describe_doubt(one, pick, stock) for one in told])
        return f"Cannot tell whether {name} beats {title}: {doubts}{at}.", "unclear"
    first, *others = gains
    more = [_describe_advantage(one, pick, stock) for one in others]
    words = join_words([_describe_advantage(first, pick, stock, f" than {title}"), *more])
    return f"{name} has {words}{at}.", "good"


def _explain_absence(record: StudyRecord) -> str:
    """Why the study has no stock network to compare with."""
    stock = [one for one in record.trials if one.baseline]
    if not stock:
        return "This study contains no stock network, so no gain can be stated."
    if not any(one.feasible for one in stock):
        nearest = find_nearest_to_budgets(stock)
        return (
            "No stock network keeps the budgets, so no gain can be stated. "
            f"The nearest is {stock_title(nearest)}, {format_excess(nearest)}."
        )
    known = join_words([one.in_text for one in list_objectives(record)])
    return f"No stock network within the budgets has a known {known}, so no gain can be stated."


def _list_findings(
    record: StudyRecord, found: Recommendation, pick: Trial, tone: Tone
) -> Iterator[Finding]:
    """The recommended network, the best within the budgets, the gains, and the knee: each once."""
    stock = found.stock
    yield Finding("Recommended", pick, _describe_recommended(record, found, pick), tone)
    shown = [pick]
    if found.best is not None and found.best not in shown:
        shown.append(found.best)
        title = f"{get_metric('quality', record.quality_info).question} within the budgets"
        yield Finding(title, found.best, _describe_member(record, found.best, stock), "plain")
    for gain in found.gains:
        if stock is not None and gain.trial not in shown:
            shown += [gain.trial] if gain.trial else []
            yield _finding(record, gain, stock)
    if found.knee is not None and found.knee not in shown:
        title = "Best compromise: the knee of the front"
        yield Finding(title, found.knee, _describe_member(record, found.knee, stock), "plain")


def _describe_recommended(record: StudyRecord, found: Recommendation, pick: Trial) -> str:
    sentences = [_describe_member(record, pick, found.stock)]
    if len(found.front) == 1:
        sentences.append("It is the only network of the front.")
    else:
        quality = get_metric("quality", record.quality_info).in_text
        roles = [
            *([f"the best {quality} within the budgets"] if pick is found.best else []),
            *(["the knee of the front"] if pick is found.knee else []),
        ]
        if roles:
            sentences.append(f"It is also {join_words(roles)}.")
    unstable = sum(not one.is_stable for one in found.front)
    if unstable and pick.is_stable:
        total, stable = len(found.front), len(found.front) - unstable
        chosen = "is the only one" if stable == 1 else f"was chosen among the {stable}"
        sentences.append(f"It {chosen} of {total} networks on the front with a stable latency.")
    return " ".join(sentences)


def _describe_member(record: StudyRecord, trial: Trial, stock: Trial | None) -> str:
    """The objectives of a network, beside those of stock, and what to know about it."""
    if stock is None or stock is trial:
        sentences = [capitalize(f"{format_values(record, trial)}.")]
    else:
        metrics = list_objectives(record)
        pairs = (f"{one.in_text} {_format_pair(one, trial, stock)}" for one in metrics)
        sentences = [capitalize(f"{'; '.join(pairs)}.")]
    if trial.baseline:
        outside = "" if trial.params else ", outside the search space"
        sentences.append(f"It is a stock network, {trial.baseline}{outside}.")
    if not trial.is_stable:
        sentences.append(f"Its latency is not stable{_explain_instability(record, trial)}.")
    return " ".join(sentences)


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
    if gain.verdict == "better":
        words = _describe_advantage(metric, trial, stock, " than stock")
    elif gain.verdict == "none":
        words = f"{metric.in_text} {_format_pair(metric, trial, stock)}"
    else:
        words = _describe_doubt(metric, trial, stock)
    others = [_describe_no_worse(one, trial, stock) for one in _other_objectives(record, gain)]
    return f"{words}, at {join_words(others)}" if others else words


def _describe_doubt(metric: Metric, trial: Trial, stock: Trial) -> str:
    """A difference that is no worse by the estimate, but not certain."""
    if metric.is_latency:
        return f"its {metric.in_text} is {_format_ratio(metric, trial, stock)}, which includes 1"
    pair, noise = _format_pair(metric, trial, stock), metric.format_noise()
    return f"its {metric.in_text} is {pair}, a difference within its noise of about {noise}"


def _describe_advantage(metric: Metric, trial: Trial, stock: Trial, than: str = "") -> str:
    """ "18% lower latency than stock (95% interval 17% to 19%)"."""
    if metric.name == "quality":
        return f"a better {metric.in_text}{than} ({_format_pair(metric, trial, stock)})"
    if not metric.is_latency:
        share = format_share(1 - trial.value(metric.name) / stock.value(metric.name))
        return f"{share} {metric.less}{than} ({_format_pair(metric, trial, stock)})"
    low, high = latency_ratio_interval(trial, stock, metric.device)
    less = format_share(1 - latency_ratio(trial, stock, metric.device))
    bound = "" if metric.base == "latency" else "at least "
    return (
        f"{bound}{less} {metric.less}{than} "
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
