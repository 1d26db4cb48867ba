"""Phrases that several sections of the page share."""

from __future__ import annotations

from typing import Any

from gnv2_nas.commands import format_command
from gnv2_nas.measurement.records.record import Measurement
from gnv2_nas.search.analysis.baselines import preset_name
from gnv2_nas.search.analysis.views import View
from gnv2_nas.search.study.defaults import STORAGE
from gnv2_nas.search.study.metrics import Metric, format_share, get_metric
from gnv2_nas.search.study.records import StudyRecord, Trial
from gnv2_nas.units import format_quantity

UNTRAINED = (
    "the exported weights are random, for timing only; to deploy, train with --data DIR first"
)
"""What to know about the export of a network that was searched without images."""


_FAMILIES = {
    "ghostnet": "GhostNet", "ghostnetv2": "GhostNetV2", "mobilenetv3-large": "MobileNetV3-Large",
    "repghostnet": "RepGhostNet",
}  # fmt: skip


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


def summarize_view(view: View) -> dict[str, Any]:
    """A view for scripts: devices, budgets, front, the networks of the answer, next command."""
    pick, stock = view.found.recommended, view.found.stock
    return {
        "devices": view.record.settings.device_labels,
        "budgets": [budget.text for budget in view.record.settings.budgets],
        "front": [member.number for member in view.found.front],
        "recommended": pick and pick.number,
        "stock": stock and stock.number,
        "next": pick and next_command(view.record, pick),
    }


def list_picks(view: View, study: StudyRecord) -> list[tuple[str, Trial]]:
    """The recommended network of a view, and the best of its front in the first objective.

    The latter is left out for single devices of a study of several, because it hardly differs.

    Returns:
        What each is ("recommended", "best Zen-score"), and the network.
    """
    best = view.found.recommended
    if best is None:
        return []
    picks = [("recommended", best)]
    first = list_objectives(view.record)[0].question
    whole = len(view.record.settings.devices) == len(study.settings.devices)
    if whole and view.found.front[0] is not best:
        picks.append((f"{first[:1].lower()}{first[1:]}", view.found.front[0]))
    return picks


def list_objectives(record: StudyRecord) -> list[Metric]:
    """The metrics of a study's objectives, in order."""
    return [get_metric(name, record.quality_info) for name in record.settings.objectives]


def stock_title(stock: Trial) -> str:
    """ "stock GhostNetV2 1.0", "stock MobileNetV3-Large 1.0 ×0.75 at 192 px"."""
    name = preset_name(stock.baseline)
    family, _, width = name.rpartition("-")
    return f"stock {_FAMILIES.get(family, family)} {width}{stock.baseline.removeprefix(name)}"


def format_values(record: StudyRecord, trial: Trial) -> str:
    """All objectives of a network: "Zen-score 93.4, latency 6.12 ms"."""
    return ", ".join(
        f"{one.in_text} {one.format(trial.value(one.name))}" for one in list_objectives(record)
    )


def describe_latency(latency: Measurement) -> str:
    """A latency in one line: "6.12 ms (95% interval 6.05 to 6.19), 0.820 × stock V2 1.0"."""
    low, high = latency.ci95
    return (
        f"{format_quantity('time', latency.ms)} (95% interval {low:.2f} to {high:.2f}), "
        f"{latency.ratio:.3f} × stock V2 1.0"
    )


def format_excess(trial: Trial) -> str:
    """The budgets a network breaks: "over 12ms by 8.1%"."""
    return "over " + " and ".join(
        f"{text} by {format_share(excess)}" for text, excess in trial.broken_budgets.items()
    )
