"""The interval of an accuracy."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from gnv2_nas.stats.intervals import wilson_interval


@given(st.integers(1, 5000), st.data())
def test_it_is_scipys(total: int, data: st.DataObject) -> None:
    correct = data.draw(st.integers(0, total))
    expected = binomtest(correct, total).proportion_ci(method="wilson")
    low, high = wilson_interval(correct, total)
    assert (low, high) == pytest.approx(
        (expected.low, expected.high), abs=1e-5
    )  # `Z95` has three digits
    assert 0 <= low <= correct / total + 1e-12
    assert correct / total - 1e-12 <= high <= 1


def test_without_images_nothing_is_known() -> None:
    assert wilson_interval(0, 0) == (0.0, 1.0)
