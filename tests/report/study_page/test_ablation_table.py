"""What each part of the recommended network costs, in words and in the table."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from gnv2_nas.quality import ESTIMATORS
from gnv2_nas.report.study_page.ablation_table import (
    AblationTable,
    describe_ablation,
    make_ablation_table,
)
from gnv2_nas.search.analysis.ablation import Ablation, Difference, find_ablations
from gnv2_nas.search.analysis.pareto import study_front
from gnv2_nas.search.study.metrics import get_metric
from gnv2_nas.search.study.records import StudyRecord
from tests.report.studies import candidate, found_architecture, searched, typical

ZEN = get_metric("quality", ESTIMATORS["zen"])
ACCURACY = get_metric("quality", replace(ESTIMATORS["supernet"], noise=2.0))
REMOVED = {"placement.stage4": ("both", "none")}
NARROWED = {"expansion.block12": (4, 3)}


def change(
    latency: Difference | None, quality: Difference | None, values: Any = REMOVED
) -> Ablation:
    base, changed = (candidate(n, found_architecture(n)) for n in (0, 1))
    return Ablation(values, base, changed, latency, quality)


SAVES = Difference(-0.9, -1.0, -0.8)
UNCLEAR = Difference(0.02, -0.05, 0.09)


@pytest.mark.parametrize(
    ("told", "quality", "sentence"),
    [
        (
            change(SAVES, Difference(-0.7, -1.0, -0.4)), ZEN,
            "DFC in stage 4: removing it saves 0.90 ± 0.10 ms and lowers the Zen-score by 0.7.",
        ),
        (
            change(SAVES, Difference(-3.14, -5.1, -1.1)), ACCURACY,
            "DFC in stage 4: removing it saves 0.90 ± 0.10 ms and lowers the supernet accuracy by "
            "3.1 percentage points.",
        ),
        (
            change(Difference(0.31, 0.21, 0.41), Difference(0.5, 0.2, 0.8), NARROWED), ZEN,
            "Expansion of block 12: 4 → 3 costs 0.31 ± 0.10 ms and raises the Zen-score by 0.5.",
        ),
        (
            change(UNCLEAR, Difference(0.1, -0.2, 0.4)), ZEN,
            "DFC in stage 4: removing it has no clear effect on latency "
            "(−0.05 to +0.09 ms) and has no clear effect on the Zen-score (noise up to 0.3).",
        ),
        (
            change(SAVES, Difference(0, 0, 0)), ZEN,
            "DFC in stage 4: removing it saves 0.90 ± 0.10 ms and does not change the Zen-score.",
        ),
        (change(SAVES, None), ZEN, "DFC in stage 4: removing it saves 0.90 ± 0.10 ms."),
    ],
)  # fmt: skip
def test_a_change_in_words(told: Ablation, quality: Any, sentence: str) -> None:
    assert describe_ablation(told, quality) == sentence


def test_what_was_not_measured_is_told_by_arithmetic() -> None:
    told = change(None, Difference(0.5, 0.2, 0.8))
    more = (told.changed.counts.macs - told.base.counts.macs) / 1e6
    assert f"{'costs' if more > 0 else 'saves'} {abs(more):.1f} MFLOPs and raises" in (
        describe_ablation(told, ZEN)
    )


def box(record: StudyRecord) -> AblationTable | None:
    members = study_front(record)
    return make_ablation_table(record, find_ablations(record), members, members[0])


def test_the_box_has_every_change_the_certain_first() -> None:
    found = box(searched())
    assert found is not None
    assert found.columns == ("latency, ms", "Zen-score", "MFLOPs")
    assert [row.text for row in found.rows] == [
        "DFC in blocks 6, 7: removed", "expansion of block 12: 4 → 3", "width: 1 → 1.15",
        "height of the DFC kernel in stage 3: 5 → 7",
    ]  # fmt: skip
    first, last = found.rows[0].cells, found.rows[-1].cells
    assert first[0][0].startswith("−")
    assert first[0][1].startswith("± ")
    assert first[1] == ("−0.9", "± 0.3")
    assert [text for text, _ in last[:2]] == ["unclear", "unclear"]
    assert last[1][1] == "−0.25 to +0.35"
    assert len(found.sentences) == 3


def test_only_what_was_known_has_a_column() -> None:
    record = searched()
    unscored = [replace(one, quality=None) for one in record.trials]
    settings = replace(record.settings, objectives=("latency", "macs"))
    found = box(replace(record, settings=settings, trials=tuple(unscored)))
    assert found is not None
    assert found.columns == ("latency, ms", "MFLOPs")
    assert all(len(row.cells) == 2 for row in found.rows)


def test_a_study_without_changes_has_no_box() -> None:
    assert box(typical(20)) is None
