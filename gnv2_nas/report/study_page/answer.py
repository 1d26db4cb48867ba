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
    STOCK_TITLE,
    describe_doubt,
    describe_gain,
    describe_shortfall,
    format_excess,
    format_pair,
    format_reference,
    format_values,
    list_objectives,
    recommended_title,
)
from gnv2_nas.search.analysis.baselines import preset_name
from gnv2_nas.search.analysis.pareto import find_nearest_to_budgets
from gnv2_nas.search.analysis.recommendation import Gain, Recommendation
from gnv2_nas.search.study.metrics import get_metric
from gnv2_nas.search.study.records import StudyRecord, Trial

Tone = Literal["good", "unclear", "plain"]
_TONES: dict[str, Tone] = {"better": "good", "unclear": "unclear", "none": "plain"}


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
    for gain in gains:
        if gain.verdict == "better" and gain.trial is not None:
            name = format_reference(record, gain.trial)
            return f"{name} has {describe_gain(record, gain, stock)}.", "good"
    for gain in gains:
        if gain.verdict == "unclear" and gain.trial is not None:
            name = format_reference(record, gain.trial)
            return (
                f"Cannot tell whether {name} beats {STOCK_TITLE}: "
                f"{describe_doubt(record, gain, stock)}.",
                "unclear",
            )
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
        sentences = [_sentence_case(f"{format_values(record, best)}.")]
    else:
        pairs = (
            f"{one.in_text} {format_pair(one, best, stock)}" for one in list_objectives(record)
        )
        sentences = [_sentence_case(f"{'; '.join(pairs)}.")]
    if best.baseline:
        sentences.append(f"It is a stock network, {best.baseline}.")
    if best.latency is not None and not best.latency.stable:
        sentences.append(f"Its latency is not stable: {best.latency.reason}.")
    elif unstable := sum(one.latency is not None and not one.latency.stable for one in found.front):
        total, stable = len(found.front), len(found.front) - unstable
        chosen = "is the only one" if stable == 1 else f"was chosen among the {stable}"
        sentences.append(f"It {chosen} of {total} networks on the front with a stable latency.")
    return Finding(title, best, " ".join(sentences), "plain")


def _finding(record: StudyRecord, gain: Gain, stock: Trial) -> Finding:
    one = get_metric(gain.objective, record.quality_info)
    title = one.question
    if len(record.settings.objectives) > 1:
        title += ", no worse than stock otherwise"
    return Finding(title, gain.trial, _text(record, gain, stock), _TONES[gain.verdict])


def _text(record: StudyRecord, gain: Gain, stock: Trial) -> str:
    if gain.verdict == "better":
        return _sentence_case(f"{describe_gain(record, gain, stock)}.")
    if gain.verdict == "unclear":
        return f"Cannot tell: {describe_doubt(record, gain, stock)}."
    return describe_shortfall(record, gain, stock)


def _sentence_case(text: str) -> str:
    return text[:1].upper() + text[1:]
