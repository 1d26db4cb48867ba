"""The trust panels of a space: as rows for a terminal or a page, and as a section of the page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

import msgspec
from markupsafe import Markup

from gnv2_nas.commands import format_command
from gnv2_nas.quality.trust.panel import (
    BASELINE,
    EstimatorTrust,
    TrustPanel,
    is_supported,
    verdict,
)
from gnv2_nas.report.figures.trust_figure import trust_figure, trust_info
from gnv2_nas.report.rendering import figure_json
from gnv2_nas.search.study.records import StudyRecord
from gnv2_nas.stats.rank_agreement import RankAgreement

TRUST_COLUMNS = ("score", "τ overall", "τ in band", "against parameters", "per network")


class TrustRow(NamedTuple):
    """One estimator; intervals are 95% intervals."""

    score: str
    overall: str
    band: str
    verdict: str
    cost: str


def trust_rows(panel: TrustPanel) -> list[TrustRow]:
    """A row for each estimator, best in band first, then the agreement of two trainings."""
    ordered = sorted(panel.estimators, key=_rank)
    rows = [
        TrustRow(
            _label(each),
            _interval(each.overall),
            _interval(each.band),
            "the baseline" if each.spec == BASELINE else verdict(each),
            f"{each.seconds:.2g} s" if each.seconds >= 0.01 else "< 0.01 s",
        )
        for each in ordered
    ]
    if panel.ceiling is not None:
        rows.append(
            TrustRow(
                "a second training", _interval(panel.ceiling), _interval(panel.ceiling_band),
                "upper limit", "",
            )
        )  # fmt: skip
    return rows


def trust_caption(panel: TrustPanel) -> str:
    """Explains the rows: number of networks, training, data."""
    inside = sum(network.in_band for network in panel.networks)
    low, high = (bound / 1e6 for bound in panel.band)
    seeds = max(len(network.accuracies) for network in panel.networks)
    return (
        f"Kendall's τ with the accuracy of {len(panel.networks)} networks of space {panel.space}, "
        f"{inside} of them within {low:.3g} to {high:.3g} MFLOPs, each trained from scratch on "
        f"{panel.data} with {seeds} seed{'s' * (seeds > 1)} ({panel.training}); "
        "in brackets, 95% intervals"
    )


def _rank(trust: EstimatorTrust) -> tuple[float, float]:
    return _descending(trust.band), _descending(trust.overall)


def _descending(agreement: RankAgreement | None) -> float:
    return 2.0 if agreement is None else -agreement.tau


def _label(trust: EstimatorTrust) -> str:
    return trust.title + ("" if trust.is_accuracy else " (not an accuracy)")


def _interval(agreement: RankAgreement | None) -> str:
    return "too few" if agreement is None else str(agreement)


class TrustPart(msgspec.Struct, frozen=True):
    """One panel as shown."""

    rows: tuple[TrustRow, ...]
    own: str
    """The study's own score in `rows`; "" if it was not checked."""
    caption: str
    figure: Markup


Tone = Literal["good", "unclear", "plain"]
NO_EVIDENCE = (
    "These trainings do not support ranking networks by this score. Where the choice matters, "
    "search with an accuracy, such as --quality supernet:FILE."
)


class TrustBox(msgspec.Struct, frozen=True):
    """The section as shown."""

    tone: Tone
    sentences: tuple[str, ...]
    command: str = ""
    """The command that makes the check; "" when it was made."""
    columns: tuple[str, ...] = TRUST_COLUMNS
    parts: tuple[TrustPart, ...] = ()
    """One for each trust panel."""


def describe_trust(record: StudyRecord, panels: Sequence[TrustPanel]) -> str:
    """How well the score of a study ranks networks, beside the parameter count."""
    info, space = record.quality_info, record.settings.space
    if not panels:
        return (
            f"It has not been checked on space {space} whether networks with a higher "
            f"{info.in_text} are more accurate after training."
        )
    spec = record.settings.quality
    found = "; ".join(f"on {panel.data} {panel.sentence(spec)}" for panel in panels)
    origins = (panel.origin() for panel in panels)
    return " ".join([f"{info.title} against trained accuracy: {found}.", *filter(None, origins)])


def make_trust_box(record: StudyRecord, panels: Sequence[TrustPanel]) -> TrustBox | None:
    """The section of a study's page; None when no network has a score."""
    if all(one.quality is None for one in record.trials):
        return None
    lead, spec = describe_trust(record, panels), record.settings.quality
    if not panels:
        return TrustBox("unclear", (lead, _advice(record)), _command(record))
    others = () if record.quality_info.is_accuracy else tuple(map(_data_free, panels))
    checked = any(panel.of(spec) for panel in panels if not panel.origin())
    tone = _tone(panels, spec)
    if others and tone == "unclear":
        others = (*others, NO_EVIDENCE)
    return TrustBox(
        tone=tone,
        sentences=(lead, *others),
        command="" if checked else _command(record),
        parts=tuple(_part(panel, spec) for panel in panels),
    )


def _tone(panels: Sequence[TrustPanel], spec: str) -> Tone:
    """Say whether the trainings support the score wherever it was checked.

    Trainings of networks from another form of the space are not enough to support it.
    """
    found = [trust for panel in panels if (trust := panel.of(spec))]
    if not found or spec == BASELINE:
        return "plain"
    if not all(map(is_supported, found)):
        return "unclear"
    return "plain" if any(panel.origin() for panel in panels) else "good"


def _part(panel: TrustPanel, spec: str) -> TrustPart:
    found = panel.of(spec)
    return TrustPart(
        rows=tuple(trust_rows(panel)),
        own="" if found is None else _label(found),
        caption=trust_caption(panel),
        figure=figure_json(trust_figure(trust_info(panel, spec))),
    )


def _data_free(panel: TrustPanel) -> str:
    return f"On {panel.data}, {panel.data_free_sentence()}."


def _advice(record: StudyRecord) -> str:
    if record.quality_info.is_accuracy:
        return (
            "It is an accuracy, but not that of networks trained on their own. This check trains "
            "a few of them and compares the rankings:"
        )
    return (
        "It is not an accuracy, and may rank networks no better than their size does. This check "
        "trains a few networks on images and compares the rankings:"
    )


def _command(record: StudyRecord) -> str:
    settings = record.settings
    space = record.provenance.space_source or settings.space
    options = [("--data", settings.data or "DIR"), ("--space", space)]
    macs = [budget.text for budget in settings.budgets if budget.metric == "macs"]
    options += [("--budget", budget) for budget in macs]
    spec = settings.quality_spec
    if spec.name == "supernet" and spec.file:
        options.append(("--supernet", spec.file))
    elif record.quality_info.is_accuracy:
        options.append(("--quality", settings.quality))
    return format_command("quality check", options=options)
