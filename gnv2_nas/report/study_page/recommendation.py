"""The answer in words: what to take, and what it gains against stock GhostNetV2 1.0.

Every sentence is made of measured numbers. An interval that leaves a question open is answered
with "cannot tell"; a front that gains nothing says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec

from gnv2_nas.devices.panel import REFERENCE
from gnv2_nas.report.study_page.wording import (
    STOCK_TITLE,
    against,
    best_word,
    doubt,
    gain,
    over_budget,
    reference,
    shortfall,
    terms_of,
    values,
)
from gnv2_nas.search.analysis.baselines import published_name
from gnv2_nas.search.analysis.comparison import Comparison, compare, knee, stock_candidate
from gnv2_nas.search.analysis.pareto import nearest_to_budgets
from gnv2_nas.search.study.metrics import Term, term
from gnv2_nas.search.study.records import Candidate, StudyRecord

Tone = Literal["good", "unclear", "plain"]
_TONES: dict[str, Tone] = {"better": "good", "unclear": "unclear", "none": "plain"}


class Finding(msgspec.Struct, frozen=True):
    """One card: a question, the network that answers it, the answer."""

    title: str
    candidate: Candidate | None
    text: str
    tone: Tone


class Recommendation(msgspec.Struct, frozen=True):
    """What the page says first."""

    headline: str
    tone: Tone
    findings: tuple[Finding, ...]
    recommended: Candidate | None
    """The knee of the front; None without a front."""


def recommend(record: StudyRecord, members: Sequence[Candidate]) -> Recommendation:
    """The answer that the front `members` of `record` supports."""
    best = knee(members, record.settings.objectives)
    if best is None:
        return Recommendation(_no_front(record), "plain", (), None)
    stock = stock_candidate(record)
    if stock is None:
        headline = (
            f"{reference(record, best)} is the {best_word(record)} found: {values(record, best)}. "
            f"{_without_stock(record)}"
        )
        return Recommendation(headline, "plain", (_compromise(record, best, None),), best)
    objectives = record.settings.objectives
    comparisons = [compare(members, stock, objectives, one) for one in _by_weight(record)]
    headline, tone = _headline(record, comparisons, stock, best)
    findings = [_finding(record, one, stock) for one in comparisons]
    if len(objectives) > 1 or comparisons[0].candidate is not best:
        findings.insert(0, _compromise(record, best, stock))
    return Recommendation(headline, tone, tuple(findings), best)


def _without_stock(record: StudyRecord) -> str:
    outside = any(published_name(one.baseline) == REFERENCE for one in record.candidates)
    if not outside:
        return f"This study holds no {STOCK_TITLE}, so there is no gain to state."
    score = record.quality_info.in_text
    return f"There is no {score} of {STOCK_TITLE}, so there is no gain to state."


def _by_weight(record: StudyRecord) -> list[Term]:
    """What was measured first, a score last: the order in which a gain is worth telling."""
    return sorted(terms_of(record), key=lambda one: (one.name != "latency", one.name == "quality"))


def _no_front(record: StudyRecord) -> str:
    if not record.candidates:
        return "Nothing has been evaluated yet, so there is nothing to recommend."
    if any(candidate.feasible for candidate in record.candidates):
        return "No network that keeps the budgets has a value for every objective yet."
    nearest = nearest_to_budgets(record.candidates)
    return (
        f"None of the {len(record.candidates):,} networks evaluated keeps every budget. "
        f"Nearest is {reference(record, nearest)}, {over_budget(nearest)}."
    )


def _headline(
    record: StudyRecord, comparisons: Sequence[Comparison], stock: Candidate, best: Candidate
) -> tuple[str, Tone]:
    for comparison in comparisons:
        if comparison.verdict == "better" and comparison.candidate is not None:
            name = reference(record, comparison.candidate)
            return f"{name} has {gain(record, comparison, stock)}.", "good"
    for comparison in comparisons:
        if comparison.verdict == "unclear" and comparison.candidate is not None:
            name = reference(record, comparison.candidate)
            return (
                f"Cannot tell whether {name} beats {STOCK_TITLE}: "
                f"{doubt(record, comparison, stock)}.",
                "unclear",
            )
    if stock.feasible:
        return f"Nothing found beats {STOCK_TITLE}.", "plain"
    return (
        f"Nothing found is as good as {STOCK_TITLE}, which is itself {over_budget(stock)}; "
        f"within the budgets the {best_word(record)} is {reference(record, best)}, "
        f"{values(record, best)}."
    ), "plain"


def _compromise(record: StudyRecord, best: Candidate, stock: Candidate | None) -> Finding:
    single = len(record.settings.objectives) == 1
    title = "Best network" if single else "Best compromise: the knee of the front"
    if stock is None or stock is best:
        sentences = [_sentence_case(f"{values(record, best)}.")]
    else:
        pairs = (f"{one.in_text} {against(one, best, stock)}" for one in terms_of(record))
        sentences = [_sentence_case(f"{'; '.join(pairs)}.")]
    if best.baseline:
        sentences.append(f"It is a stock network, {best.baseline}: the search found no better one.")
    if best.latency is not None and not best.latency.stable:
        sentences.append(f"Its latency is not stable: {best.latency.reason}.")
    return Finding(title, best, " ".join(sentences), "plain")


def _finding(record: StudyRecord, comparison: Comparison, stock: Candidate) -> Finding:
    one = term(comparison.objective, record.quality_info)
    title = one.question
    if len(record.settings.objectives) > 1:
        title += ", no worse than stock in the rest"
    return Finding(
        title, comparison.candidate, _text(record, comparison, stock), _TONES[comparison.verdict]
    )


def _text(record: StudyRecord, comparison: Comparison, stock: Candidate) -> str:
    if comparison.verdict == "better":
        return _sentence_case(f"{gain(record, comparison, stock)}.")
    if comparison.verdict == "unclear":
        return f"Cannot tell: {doubt(record, comparison, stock)}."
    return shortfall(record, comparison, stock)


def _sentence_case(text: str) -> str:
    return text[:1].upper() + text[1:]
