"""Writes the report of a study: page, JSON and CSV, all or none."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pandas as pd

from gnv2_nas.files.file_sets import write_set
from gnv2_nas.report.figures.convergence_figure import (
    convergence_figure,
    convergence_info,
    describe_convergence,
)
from gnv2_nas.report.figures.size_figure import describe_size, size_figure, size_info
from gnv2_nas.report.files import ReportFiles, check_report_files
from gnv2_nas.report.frames import make_frame, trial_rows, trials_frame
from gnv2_nas.report.rendering import figure_json, render
from gnv2_nas.report.study_page.answer import write_answer
from gnv2_nas.report.study_page.conditions import list_conditions
from gnv2_nas.report.study_page.device_table import make_device_table
from gnv2_nas.report.study_page.predictions import describe_check, prediction_checks
from gnv2_nas.report.study_page.section import Section, join_headlines, make_section
from gnv2_nas.report.study_page.table import column_titles
from gnv2_nas.report.trust_table import TrustBox, describe_trust, make_trust_box
from gnv2_nas.report.wording import UNTRAINED, summarize_view
from gnv2_nas.search.analysis.ablation import Ablation, find_ablations
from gnv2_nas.search.analysis.convergence import REFERENCE_MARGIN
from gnv2_nas.search.analysis.device_ranks import DevicePair, compare_devices
from gnv2_nas.search.analysis.recommendation import Recommendation, find_study_trust, recommend
from gnv2_nas.search.analysis.views import View, list_views
from gnv2_nas.search.study.metrics import format_share, get_metric
from gnv2_nas.search.study.records import StudyRecord


def write_report(record: StudyRecord, folder: Path) -> ReportFiles:
    """Write page, JSON and CSV of `record` into `folder`; make all of them before writing any.

    Raises:
        OutputError: one of the files exists and is not a report.
        StorageError: writing failed; earlier files are unchanged.
    """
    files = check_report_files(record.name, folder)
    rows = trial_rows(record)
    frame = make_frame(record.settings, rows)
    panels = find_study_trust(record)
    changes = find_ablations(record)
    views = list_views(record)
    # Without a list of budgets, the first view is the whole study.
    found = views[0].found if views[0].record is record else recommend(record)
    # What each part costs is shown once for each device, within its loosest limit.
    last = {view.record.settings.device_labels: view for view in views}
    sections = [
        make_section(
            view, f"-{number}" if len(views) > 1 else "", record,
            frame if view.record is record else trials_frame(view.record),
            ablated=len(view.record.settings.devices) == 1
            and view is last[view.record.settings.device_labels],
        )
        for number, view in enumerate(views, start=1)
    ]  # fmt: skip
    trust = make_trust_box(record, panels)
    devices = compare_devices(record)
    html = _render_page(record, frame, found, sections, trust, devices)
    words = describe_trust(record, panels)
    json = _json(record, rows, found, views, sections, words, changes, devices)
    csv = frame.to_csv(index=False)
    write_set({files.html: html, files.json: json, files.csv: csv})
    return files


def _json(
    record: StudyRecord,
    rows: list[dict[str, Any]],
    found: Recommendation,
    views: Sequence[View],
    sections: Sequence[Section],
    trust: str,
    changes: Sequence[Ablation],
    devices: Sequence[DevicePair],
) -> bytes:
    """The rows of the CSV with genotypes and architectures, and the answers of the page."""
    document: dict[str, Any] = {
        "study": record.name,
        "headline": write_answer(record, found).headline,
        "trust": trust,
        "recommended": found.recommended and found.recommended.number,
        "front": [member.number for member in found.front],
        "picks": [
            summarize_view(view) | {"headline": section.answer.headline}
            for view, section in zip(views, sections, strict=True)
        ],
        "changes": [
            {"change": one.text, "of": one.base.number, "trial": one.changed.number,
             "latency_ms": one.latency, "quality": one.quality}
            for one in changes
        ],
        "settings": record.settings,
        "sampler": record.provenance.sampler,
        "seed": record.provenance.seed,
        "command": record.provenance.command,
        "created_at": record.provenance.created_at,
        "proposed": record.progress.proposed,
        "rejected": record.progress.rejected,
        "duplicates": record.progress.duplicates,
        "fingerprint": record.fingerprint,
        "fingerprints": record.fingerprints,
        "device_agreement": devices,
        "foreign": record.foreign,
        "candidates": [
            row | {"violations": one.broken_budgets, "genotype": one.params,
                   "architecture": one.architecture}
            for row, one in zip(rows, record.trials, strict=True)
        ],
    }  # fmt: skip
    return msgspec.json.encode(document)


def _render_page(
    record: StudyRecord,
    frame: pd.DataFrame,
    found: Recommendation,
    sections: Sequence[Section],
    trust: TrustBox | None,
    devices: Sequence[DevicePair],
) -> str:
    """The HTML of the report."""
    sizes = size_info(record, frame)
    convergence = convergence_info(record)
    values: dict[str, Any] = {
        "record": record,
        "quality": get_metric("quality", record.quality_info),
        "sections": sections,
        "headlines": join_headlines(sections),
        "untrained": UNTRAINED,
        "numbers": _numbers(record, len(found.front)),
        "trust": trust,
        "size_figure": figure_json(size_figure(sizes)) if sizes.groups.drawn else None,
        "picks_title": _picks_title(record),
        "columns": column_titles(record),
        "devices": make_device_table(devices),
        "beyond": format_share(REFERENCE_MARGIN),
        "has_design": convergence is not None and convergence.random is not None,
        "convergence": convergence and figure_json(convergence_figure(convergence)),
        "convergence_sentences": describe_convergence(convergence) if convergence else [],
        "predictions": [(one, describe_check(one)) for one in prediction_checks(record)],
        "size_sentences": describe_size(sizes),
        "conditions": list_conditions(record),
    }
    return render("study.html", values)


def _picks_title(record: StudyRecord) -> str:
    what = " and ".join(
        word
        for word, several in (
            ("budget", bool(record.settings.limits)),
            ("device", len(record.settings.devices) > 1),
        )
        if several
    )
    return f"Networks for each {what}"


def _numbers(record: StudyRecord, members: int) -> list[tuple[str, str, str]]:
    """(value, name, remark) of each count of the search."""
    found = [one for one in record.trials if not one.baseline]
    feasible = sum(one.feasible for one in found)
    return [
        (f"{record.progress.proposed:,}", "proposed", f"by {record.provenance.sampler}"),
        (f"{record.progress.rejected:,}", "rejected", "by arithmetic, not built"),
        (f"{record.progress.duplicates:,}", "duplicates", "already known"),
        (f"{len(found):,}", "evaluated", f"plus {len(record.trials) - len(found)} stock networks"),
        (_share(feasible, len(found)), "feasible", f"{feasible:,} keep every budget"),
        (f"{members:,}", "on the front", "stock networks included"),
    ]


def _share(part: int, whole: int) -> str:
    return format_share(part / whole) if whole else "–"
