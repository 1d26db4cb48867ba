"""Measurements that take a moment."""

from __future__ import annotations

from functools import partial

import pytest

from gnv2_nas.devices.panel import REFERENCE
from gnv2_nas.measurement import batch, calibration
from gnv2_nas.measurement.plan import MeasurementPlan
from tests.measurement.networks import tiny_ghost, tiny_mobile


def shorten(patch: pytest.MonkeyPatch) -> None:
    """Few rounds, beside references that are small."""
    brief = partial(MeasurementPlan, rounds=4, max_sessions=2)
    patch.setattr(batch, "MeasurementPlan", brief)
    patch.setattr(calibration, "PLAN", brief(sessions=2))
    panel = {REFERENCE: tiny_ghost(), "a small one": tiny_mobile()}
    patch.setattr("gnv2_nas.devices.device.reference_networks", lambda: panel)
