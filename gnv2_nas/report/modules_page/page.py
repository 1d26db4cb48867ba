"""The page of `gnv2-nas modules`: theory and measurement side by side."""

from __future__ import annotations

from typing import Any

from gnv2_nas.measurement.modules.findings import AxisFinding, MeasuredComparison, ModuleFindings
from gnv2_nas.report.figures.modules_figure import modules_figure
from gnv2_nas.report.modules_page.words import (
    COLUMNS,
    describe_check,
    describe_findings,
    describe_headline,
    format_interval,
    format_ratio,
    list_refusals,
    ratio_title,
    summary_rows,
)
from gnv2_nas.report.rendering import figure_json, render
from gnv2_nas.units import format_duration


def render_modules_page(findings: ModuleFindings, command: str) -> str:
    """The HTML of the page.

    Args:
        findings: what was measured.
        command: the command to search with the axes that pay.
    """
    sections = [_section(comparison) for comparison in findings.comparisons]
    values: dict[str, Any] = {
        "findings": findings,
        "answer": list(describe_findings(findings)),
        "axes": [_axis_row(axis) for axis in findings.axes],
        "next_command": command,
        "searches": command.split()[1] == "search",
        "columns": COLUMNS,
        "sections": sections,
        "facts": _list_facts(findings),
    }
    return render("modules.html", values)


def _section(comparison: MeasuredComparison) -> dict[str, Any]:
    return {
        "name": comparison.name,
        "title": comparison.title,
        "about": comparison.about,
        "headline": describe_headline(comparison),
        "ratio": ratio_title(comparison),
        "figure": figure_json(modules_figure(comparison)),
        "summary": summary_rows(comparison),
        "rows": [
            (
                row.variant,
                *row.place,
                format_ratio(row.theory),
                row.ratio and format_ratio(row.ratio.value),
                row.ratio and format_interval(row.ratio),
                row.ms and f"{row.ms:.4f}",
            )
            for row in comparison.rows
        ],
        "refusals": list_refusals(comparison),
        "check": describe_check(comparison),
    }


def _axis_row(axis: AxisFinding) -> dict[str, str]:
    row = {"axis": axis.axis, "change": axis.change, "of": axis.module}
    if axis.saving is None:
        return row | {"saving": "–", "interval": "–", "verdict": axis.refused, "kind": "plain"}
    saving = axis.saving
    verdict = "pays" if axis.pays else "costs time" if axis.costs else "within its interval"
    return row | {
        "saving": f"{saving.value:.1%}",
        "interval": f"{saving.low:.1%} to {saving.high:.1%}",
        "verdict": verdict,
        "kind": "good" if axis.pays else "unclear" if axis.costs else "plain",
    }


def _list_facts(findings: ModuleFindings) -> tuple[tuple[str, str], ...]:
    threads = f"{findings.threads} thread{'s' if findings.threads > 1 else ''}"
    return (
        ("Processor", findings.cpu),
        ("Runtime", f"{findings.runtime}, {threads}, {findings.precision}"),
        ("Clock", findings.clock),
        ("Measured", f"{findings.taken_at}, in {format_duration(findings.seconds)}"),
        ("Method", METHOD),
    )


METHOD = (
    "Each case is a small network of equal modules, one after the other, between a pointwise stem "
    "and a pooled head; the time of stem and head alone is subtracted. All cases of a comparison "
    "share rounds in random order, and each file is checked against torch. Intervals cover "
    "95 %: the noise of rounds and the spread between sessions of all files that a ratio rests on. "
    "Over several places, ratios are geometric means."
)
