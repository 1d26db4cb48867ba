"""The page of an evaluation: the answer, a table and a figure for each pick and device."""

from __future__ import annotations

from typing import Any

from gnv2_nas.commands import format_command
from gnv2_nas.evaluation.results import Evaluation, Table
from gnv2_nas.report.evaluation_page.words import (
    RATIO,
    VERDICT,
    choose_badge,
    choose_tone,
    describe_table,
    format_row,
    list_columns,
    title_table,
)
from gnv2_nas.report.figures.evaluation_figure import evaluation_figure
from gnv2_nas.report.rendering import figure_json, render
from gnv2_nas.search.analysis.views import capitalize


def render_evaluation_page(evaluation: Evaluation) -> str:
    """The HTML of the page."""
    tables = evaluation.tables
    values: dict[str, Any] = {
        "evaluation": evaluation,
        "sections": [
            _section(key, table, title_table(table, tables)) for key, table in enumerate(tables)
        ],
        "next_command": next_command(evaluation),
        "verdict": capitalize(VERDICT),
        "ratio": capitalize(RATIO),
        "facts": _list_facts(evaluation),
    }
    return render("evaluation.html", values)


def next_command(evaluation: Evaluation) -> str:
    """The command that exports the trained pick."""
    return format_command("export", evaluation.weights, options=[("--format", "onnx")])


def _section(key: int, table: Table, title: str) -> dict[str, Any]:
    return {
        "key": key,
        "title": title,
        "table": table,
        "sentences": list(describe_table(table)),
        "tone": choose_tone(table),
        "columns": list_columns(table),
        "rows": [
            {
                "cells": format_row(result),
                "badge": choose_badge(result),
                "is_pick": result.verdict is None,
                "broken": result.broken,
                "seeds": " ".join(f"{100 * each:.1f}" for each in result.of_seeds),
            }
            for result in table.results
        ],
        "figure": figure_json(evaluation_figure(table)),
    }


def _list_facts(evaluation: Evaluation) -> tuple[tuple[str, str], ...]:
    images = (
        f"{evaluation.train_images:,} to train on, {evaluation.held_out_images:,} held out, the "
        "same for all networks"
    )
    devices = [f"{each.device}: {each.runtime} on {each.cpu}" for each in evaluation.tables]
    return (
        ("Data", f"{evaluation.data} (hash {evaluation.data_hash})"),
        ("Images", images),
        ("Training", f"{evaluation.training}, seeds 0 to {evaluation.seeds - 1}"),
        *(("Device", text) for text in dict.fromkeys(devices)),
        ("Taken", evaluation.taken_at),
        ("Software", evaluation.software),
    )
