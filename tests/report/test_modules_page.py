"""The page of `gnv2-nas modules`: theory beside measurement, and which axes pay."""

from __future__ import annotations

import json
import re

import pytest
from msgspec.structs import replace

from gnv2_nas.measurement.modules.findings import (
    AxisFinding,
    MeasuredComparison,
    ModuleFindings,
    Pooled,
    Row,
)
from gnv2_nas.measurement.modules.times import Interval
from gnv2_nas.report.modules_page.page import render_modules_page
from gnv2_nas.report.modules_page.words import describe_findings, summary_rows

NASTY = "</script><script>alert(1)</script>"
PLACES = (("7×7", "16 channels"), ("14×14", "8 channels"))
FAST, SLOW = Interval(1.6, 1.5, 1.7), Interval(0.5, 0.45, 0.55)
REFUSED = Row("s=3, d=3", PLACES[0], 2.2, refused=f"no {NASTY}")
COMPARISON = MeasuredComparison(
    name="ghost",
    title="Ghost module",
    about="About it.",
    reference="convolution",
    speed_up=True,
    rows=(
        Row("convolution", PLACES[0], 1.0, 0.02, Interval(1, 1, 1)),
        Row("s=2, d=3", PLACES[0], 1.75, 0.0125, FAST),
        Row("s=2, d=3", PLACES[1], 1.5, 0.04, SLOW),
        REFUSED,
    ),
    pooled=(
        Pooled("s=2, d=3", 1.62, Interval(0.9, 0.85, 0.95)),
        Pooled("s=3, d=3", 2.2, None, REFUSED.refused),
    ),
    again=Interval(1.0, 0.98, 1.02),
    sessions=3,
    rounds=30,
    doubts=(),
)
AXES = (
    AxisFinding("dfc_factor", "1 → 4", "a block", Interval(0.36, 0.34, 0.38)),
    AxisFinding("dfc_pool", "max → avg", "a block", Interval(-0.05, -0.06, -0.04)),
    AxisFinding("dfc_kernel_h", "11 → 3 taps", "a block", Interval(0.01, -0.01, 0.03)),
    AxisFinding("dfc_resize", "bilinear → nearest", "a block", refused="no such layer"),
)


def findings(**changes):
    facts = {
        "device": NASTY, "cpu": "a chip", "runtime": "an engine 1.0", "threads": 1,
        "precision": "fp32", "clock": "cpu", "comparisons": (COMPARISON,), "axes": AXES,
        "seconds": 12.0, "taken_at": "2026-01-01T00:00:00+00:00",
    }  # fmt: skip
    return ModuleFindings(**{**facts, **changes})


PAGE = render_modules_page(findings(), "gnv2-nas search --space paying.yaml")


def test_theory_stands_beside_the_measurement_and_its_interval():
    (text,) = re.findall(r'<script type="application/json" id="ghost-figure">(.*?)</script>', PAGE)
    theory, measured, *_ = json.loads(text)["data"]
    assert theory["y"] == [1.75, 1.5]
    assert measured["y"] == [1.6, 0.5]
    assert theory["x"] == measured["x"]
    assert measured["error_y"]["array"] == pytest.approx([0.1, 0.05])


def test_all_places_are_summarized_and_what_was_refused_says_why():
    first, refused = summary_rows(COMPARISON)
    assert first[:4] == ("s=2, d=3", "1.62", "0.90", "0.85–0.95")
    assert first[4:] == ("0.50 (14×14, 8 channels)", "1.60 (7×7, 16 channels)")
    assert refused[2:] == ("–",) * 4
    assert "Left out: s=3, d=3 at 7×7 16 channels: no &lt;/script&gt;" in PAGE


def test_the_last_paragraph_says_which_axes_pay():
    promise, paying, others = describe_findings(findings(device="board"))
    assert promise.startswith("s=2, d=3: 0.90 times as fast as convolution (0.85–0.95) where")
    assert paying == (
        "On board (an engine 1.0 on a chip) these axes pay: "
        "dfc_factor (1 → 4 saves 36.0% of a block, 34.0% to 38.0%)."
    )
    assert "dfc_pool (max → avg takes 5.0% longer for a block, 4.0% to 6.0%)" in others
    assert "dfc_kernel_h (11 → 3 taps saves 1.0% of a block, -1.0% to 3.0%)" in others
    assert "dfc_resize (bilinear → nearest: no such layer)" in others


def test_a_comparison_of_which_nothing_ran_is_shown():
    rows = tuple(replace(row, ms=None, ratio=None, refused="no layer") for row in COMPARISON.rows)
    pooled = tuple(replace(each, ratio=None) for each in COMPARISON.pooled)
    nothing = replace(COMPARISON, rows=rows, pooled=pooled, again=None)
    page = render_modules_page(findings(comparisons=(nothing,)), "gnv2-nas modules")
    assert "Left out: convolution at 7×7 16 channels: no layer" in page
    assert "nothing ran" in page


def test_no_text_ends_its_place(open_page, tmp_path):
    assert NASTY not in PAGE
    path = tmp_path / "modules.html"
    path.write_text(PAGE)
    opened = open_page(path, width=390)
    opened.page.wait_for_selector("#ghost-plot .main-svg")
    assert opened.complaints == []
    assert opened.requests == [path.as_uri()]
    assert opened.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
