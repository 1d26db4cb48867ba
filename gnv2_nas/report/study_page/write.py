"""Writes the three files of a report, all or none."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from gnv2_nas.files.file_sets import write_set
from gnv2_nas.report.files import ReportFiles, check_report_files
from gnv2_nas.report.frames import make_frame, trial_rows
from gnv2_nas.report.study_page.answer import write_answer
from gnv2_nas.report.study_page.page import page
from gnv2_nas.report.study_page.trust_box import trust_box, trust_sentence
from gnv2_nas.search.analysis.ablation import Ablation, find_ablations
from gnv2_nas.search.analysis.recommendation import Recommendation, recommend
from gnv2_nas.search.analysis.trust import find_study_trust
from gnv2_nas.search.study.records import StudyRecord


def write_report(record: StudyRecord, folder: Path) -> ReportFiles:
    """Write page, JSON and CSV of `record` into `folder`; make all of them before writing any.

    Raises:
        OutputError: one of the files exists and is not a report.
        StorageError: writing failed; earlier files are unchanged.
    """
    files = check_report_files(record.name, folder)
    found = recommend(record)
    answer = write_answer(record, found)
    rows = trial_rows(record)
    frame = make_frame(rows)
    panel = find_study_trust(record)
    changes = find_ablations(record)
    trust = trust_box(record, panel)
    html = page(record, frame, found, answer, trust, changes)
    json = _json(record, rows, found, answer.headline, trust_sentence(record, panel), changes)
    csv = frame.to_csv(index=False)
    write_set({files.html: html, files.json: json, files.csv: csv})
    return files


def _json(
    record: StudyRecord,
    rows: list[dict[str, Any]],
    found: Recommendation,
    headline: str,
    trust: str,
    changes: Sequence[Ablation],
) -> bytes:
    """The rows of the CSV with genotypes and architectures, and the answer of the page."""
    document: dict[str, Any] = {
        "study": record.name,
        "headline": headline,
        "trust": trust,
        "recommended": found.recommended and found.recommended.number,
        "front": [member.number for member in found.front],
        "changes": [
            {"change": one.text, "of": one.base.number, "trial": one.changed.number,
             "latency_ms": one.latency, "quality": one.quality}
            for one in changes
        ],
        "settings": record.settings,
        "sampler": record.sampler,
        "seed": record.seed,
        "command": record.command,
        "created_at": record.created_at,
        "proposed": record.proposed,
        "rejected": record.rejected,
        "duplicates": record.duplicates,
        "fingerprint": record.fingerprint,
        "candidates": [
            row | {"violations": one.broken_budgets, "genotype": one.params,
                   "architecture": one.architecture}
            for row, one in zip(rows, record.trials, strict=True)
        ],
    }  # fmt: skip
    return msgspec.json.encode(document)
