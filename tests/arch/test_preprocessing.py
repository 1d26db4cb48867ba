"""How an image becomes an input: plain data that travels as JSON."""

from __future__ import annotations

import pytest

from gnv2_nas.arch import Preprocessing
from gnv2_nas.errors import DataError

PHOTOGRAPHS = Preprocessing((0.485, 0.456, 0.406), (0.229, 0.224, 0.225), ("cat", "chien à poil"))


def test_json_round_trip() -> None:
    assert Preprocessing.from_json(PHOTOGRAPHS.to_json()) == PHOTOGRAPHS


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        '{"mean":[0,0],"std":[1,1,1],"classes":[]}',
        '{"mean":[0,0,0],"std":[1,1,1],"classes":[],"size":224}',
        b"\xff",
    ],
)
def test_other_text_is_refused(text: str | bytes) -> None:
    with pytest.raises(DataError, match="not a preprocessing in JSON"):
        Preprocessing.from_json(text)


@pytest.mark.parametrize(
    ("mean", "std"), [(0.0, 0.0), (0.0, -1.0), (float("nan"), 1.0), (0.0, float("inf"))]
)
def test_values_that_cannot_be_computed_with(mean: float, std: float) -> None:
    with pytest.raises(DataError, match="std positive"):
        Preprocessing((0.5, 0.5, mean), (0.5, 0.5, std), ())
