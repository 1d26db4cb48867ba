"""Evaluations with made-up answers and latencies."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from msgspec.structs import replace

from gnv2_nas.arch import preset
from gnv2_nas.evaluation.entrants import Entrant, Role
from gnv2_nas.evaluation.results import Evaluation, Measured, Result, Table, make_result
from gnv2_nas.measurement.records.record import ErrorParts
from tests.report.studies import measurement

IMAGES, SEEDS = 1000, 3
PARTS = ErrorParts(own=0.002, own_sessions=0.003, panel=0.01, calibration=0.01)


def measured(
    accuracy: float, ratio: float, *, seed: int = 0, batch: str = "b", rounds: int = 64
) -> Measured:
    """A network that classifies a share of the images, easy ones first, in every training."""
    rng = np.random.default_rng(seed)
    difficulty = np.linspace(0, 1, IMAGES)
    answers = difficulty + rng.normal(0, 0.02, (SEEDS, IMAGES)) < accuracy
    latency = replace(
        measurement(preset("ghostnet-1.0"), ratio), errors=PARTS, batch=batch, rounds=rounds
    )
    return Measured(answers.astype(np.float64), latency)


def entrant(label: str, role: Role, broken: Sequence[str] = ()) -> Entrant:
    return Entrant(label, preset("ghostnet-1.0"), role, tuple(broken))


def table(
    pick: Measured, *rivals: tuple[Entrant, Measured], device: str = "cpu", view: str = ""
) -> Table:
    results: list[Result] = [make_result(entrant("demo:7", "pick"), pick, None)]
    results += [make_result(one, known, pick) for one, known in rivals]
    return Table(view, device, "onnxruntime 1.31, fp32", "Core", tuple(results), has_budgets=True)


def evaluation(*tables: Table, **changes: object) -> Evaluation:
    known = Evaluation(
        study="demo", data="pets", data_hash="0123456789ab", train_images=4000,
        held_out_images=IMAGES, seeds=SEEDS, training="recipe v2, 900 steps of 32 images",
        tables=tables, taken_at="2026-01-31T12:00:00+00:00", software="gnv2-nas 0.1.0",
        weights="reports/demo-evaluation/abc-0.safetensors",
    )  # fmt: skip
    return replace(known, **changes)
