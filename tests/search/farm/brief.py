"""Farms whose measurements take a moment."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from gnv2_nas.search.farm import serving
from gnv2_nas.search.farm.measuring_actor import MeasuringActor
from tests.measurement.brief import shorten


class BriefActor(MeasuringActor):
    """Beside references that are small."""

    def __init__(self, *arguments: Any) -> None:
        shorten(pytest.MonkeyPatch())
        super().__init__(*arguments)
        Path(f"{arguments[0]}.pid").write_text(str(os.getpid()))


def run_command() -> None:
    """`gnv2-nas` with such a farm."""
    from gnv2_nas.cli import main

    serving.MeasuringActor = BriefActor
    main()
