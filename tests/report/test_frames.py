"""The tidy table of a study."""

from __future__ import annotations

import pytest

from gnv2_nas.report.frames import trials_frame
from tests.report.studies import STOCK_MS, candidate, found_architecture, stock, study, typical


def test_one_row_a_candidate_in_their_order() -> None:
    record = typical(20)
    frame = trials_frame(record)
    assert frame["trial"].tolist() == [one.number for one in record.trials]
    assert frame["id"].tolist() == [one.architecture.id for one in record.trials]
    assert frame["baseline"].tolist()[:2] == ["ghostnet-1.0", "ghostnetv2-1.0"]


def test_values_and_units_of_stock() -> None:
    row = trials_frame(study([stock()])).iloc[0]
    assert row["macs"] == 167_048_288
    assert row["params"] == 6_156_908
    assert row["memory_bytes"] == row["weight_bytes"] + row["peak_activation_bytes"]
    assert row["latency_ms"] == pytest.approx(STOCK_MS)
    assert row["latency_low_ms"] < row["latency_ms"] < row["latency_high_ms"]
    assert row["stage_widths"] == "16 24×2 40×2 80×4 112×2 160×5"
    assert row["stage_expansions"] == "1.0 3.0 3.0 3.3 6.0 6.0"
    assert row["dfc_modules"] == 14
    assert row["feasible"]
    assert row["front"]
    assert row["excess"] == 0


def test_what_was_not_measured_is_missing() -> None:
    arch = found_architecture(0)
    frame = trials_frame(study([candidate(0, arch, quality=None, ratio=None)]))
    missing = frame.iloc[0][["quality", "latency_ms", "latency_ratio", "latency_stable"]]
    assert missing.isna().all()
    assert not frame["front"].iloc[0]


def test_a_broken_budget_is_named() -> None:
    budgets = ["100MFLOPs", "1ms"]
    frame = trials_frame(study([stock(budgets=budgets)], budgets=budgets))
    assert frame["broken_budgets"].iloc[0] == "100MFLOPs; 1ms"
    assert frame["excess"].iloc[0] == pytest.approx(STOCK_MS - 1)
    assert not frame["feasible"].iloc[0]


def test_an_empty_study_has_all_columns() -> None:
    empty, full = trials_frame(study([])), trials_frame(study([stock()]))
    assert len(empty) == 0
    assert (empty.dtypes == full.dtypes).all()
