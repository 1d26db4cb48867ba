"""The documentation of spaces says what is so."""

from __future__ import annotations

import re
from pathlib import Path

from gnv2_nas.space import AXES

PAGE = (Path(__file__).parents[2] / "docs" / "search-spaces.md").read_text(encoding="utf-8")


def test_the_table_of_axes_is_complete():
    rows = [line.split("|")[1:4] for line in PAGE.splitlines() if line.startswith("| `")]
    shown = {name: cells for cells in rows for name in re.findall(r"`(\w+)`", cells[0])}
    for axis in AXES.values():
        _, scopes, values = shown[axis.name]
        assert scopes.strip() == ", ".join(axis.scopes)
        for word in axis.words:
            assert word in values


def test_the_example_is_a_space(space_of):
    space = space_of(re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)[0])
    assert space.num_classes == 100
    assert space.decode(space.smallest()).resolution == 160
    assert [gene.name for gene in space.genes if gene.axis == "placement"] == [
        f"placement.block{index}" for index in range(5, 16)
    ]
