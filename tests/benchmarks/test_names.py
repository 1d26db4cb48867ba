"""Every benchmark can be imported, so none was forgotten when something moved."""

from __future__ import annotations

import importlib

import pytest

from benchmarks.__main__ import NAMES
from benchmarks.stopwatch import Stopwatch


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")  # fvcore imports it
@pytest.mark.parametrize("name", NAMES)
def test_it_can_be_imported_and_run(name):
    module = importlib.import_module(f"benchmarks.{name}")
    assert callable(module.run)
    Stopwatch(getattr(module, "PARTS", {}))  # what it watches exists


def test_the_one_that_takes_studies_can_be_imported():
    assert callable(importlib.import_module("benchmarks.prediction").main)
