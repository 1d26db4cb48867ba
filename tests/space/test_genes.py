"""Changes of genes in words."""

from __future__ import annotations

import pytest

from gnv2_nas.space import Value, describe_change, is_removal


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"placement.stage4": ("both", "none")}, "DFC in stage 4: both → none"),
        ({"expansion.block12": (4, 3)}, "expansion of block 12: 4 → 3"),
        ({"se_ratio.block5": (0.25, 0)}, "squeeze-and-excitation in block 5: 0.25 → 0"),
        ({"width": (1.15, 1.0)}, "width: 1.15 → 1"),
        ({"depth.stage3": (0, -1)}, "depth of stage 3: 0 → -1"),
        ({"placement": ("first", "none")}, "DFC: first → none"),
        (
            {"placement.block6": ("both", "none"), "placement.block8": ("first", "none")},
            "DFC in blocks 6, 8: removed",
        ),
        ({"an_axis_of_tomorrow.block3": ("a", "b")}, "an_axis_of_tomorrow of block 3: a → b"),
    ],
)
def test_a_change_is_told_in_the_words_of_the_space(
    values: dict[str, tuple[Value, Value]], text: str
) -> None:
    assert describe_change(values) == text


@pytest.mark.parametrize(
    ("values", "removed"),
    [
        ({"placement.block6": ("both", "none")}, True),
        ({"placement.block6": ("both", "first")}, False),
        ({"placement.block6": ("both", "none"), "placement.block7": ("both", "first")}, False),
        ({"se_ratio": (0.25, 0.0)}, True),
        ({"depth.stage3": (1, 0)}, False),
    ],
)
def test_only_a_part_can_be_left_out(values: dict[str, tuple[Value, Value]], removed: bool) -> None:
    assert is_removal(values) is removed
