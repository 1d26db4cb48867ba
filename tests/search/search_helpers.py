"""Whole searches on a small space, counted and not measured."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gnv2_nas.devices.device import Calibration
from gnv2_nas.devices.panel import REFERENCE
from gnv2_nas.measurement.plan import MeasurementOptions
from gnv2_nas.search.lane import DeviceLane
from gnv2_nas.workflows.search.request import SearchRequest
from gnv2_nas.workflows.search.session import SearchSession
from tests.search.spaces import SMALL, write_space

STORAGE = "sqlite:///studies.db"
BRIEFLY = MeasurementOptions(precision=0.5, seconds_per_network=0.02)


def session(folder: Path, text: str = SMALL, **asked: Any) -> SearchSession:
    """A search in the working directory `folder`, opened and not yet run."""
    options = {
        "space": str(write_space(folder, text)), "quality": "params", "study": "demo", "trials": 8,
        "objectives": "quality,macs", "storage": STORAGE, "reports": folder / "reports",
    }  # fmt: skip
    return SearchSession(SearchRequest(**options | asked).check())


def measure_briefly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Networks are measured by the real runtime as briefly as possible."""
    measure = DeviceLane.measure
    monkeypatch.setattr(
        DeviceLane, "measure", lambda self, networks, *_, **__: measure(self, networks, BRIEFLY)
    )


def calibrated(opened: SearchSession) -> SearchSession:
    """Its devices know the panel already: what a calibration would find in half a minute."""
    for lane in opened.lanes:
        lane.device.calibration = Calibration(
            key="", reference_ms=20.0, reference_error=0.01, log_ratios={REFERENCE: 0.0},
            covariance=[[0.0]], session_spreads={REFERENCE: 0.01}, size_spread=0.05, sessions=2,
            rounds=10, taken_at="2026-01-31",
        )  # fmt: skip
    return opened


def searched(folder: Path, text: str = SMALL, **asked: Any) -> SearchSession:
    """The same, run to its end."""
    opened = session(folder, text, **asked)
    opened.loop().run()
    return opened
