"""What tuning a device found out."""

from __future__ import annotations

from typing import Any

import msgspec

from gnv2_nas.devices.profile_form import MARK
from gnv2_nas.graph.passes.form import FileForm
from gnv2_nas.measurement.forms import FormComparison, FormRatio


class Tuning(msgspec.Struct, frozen=True):
    """The forms that were measured on a device, and the one to use."""

    device: str
    cpu: str
    runtime: str
    """Runtime and version."""
    networks: dict[str, str]
    """Name → id of the architecture."""
    screened: FormComparison
    confirmed: FormComparison | None
    """The best forms again, in fresh sessions; None if no form was faster."""
    form: FileForm
    """What to write in the profile: nothing, for the built-in form."""
    built_in: FileForm
    seconds: float
    taken_at: str
    """ISO 8601, UTC."""

    @property
    def chosen(self) -> FormRatio | None:
        """The measurement that decided for `form`; None for the built-in form."""
        rows = self.confirmed.ran if self.confirmed else ()
        return next((row for row in rows if row.form == self.form), None)

    @property
    def doubts(self) -> tuple[str, ...]:
        """Why nothing follows from this tuning, as clauses; () if something does."""
        stages = [self.screened, *([self.confirmed] if self.confirmed else [])]
        return tuple(dict.fromkeys(doubt for stage in stages for doubt in stage.doubts))

    def describe(self) -> tuple[str, ...]:
        """Return lines that say what was measured, and when."""
        if self.chosen is None or self.confirmed is None:
            return ()
        low, high = self.chosen.ci95(len(self.confirmed.ran))
        return (
            f"{MARK} {self.device}`, {self.taken_at[:10]}:",
            f"{self.chosen.ratio:.3f} ({low:.3f} to {high:.3f}) of the time of the built-in form "
            f"over {len(self.networks)} networks,",
            f"{self.runtime} on {self.cpu}.",
        )

    def to_json(self) -> dict[str, Any]:
        """Return the facts for scripts."""
        stages = {"screened": self.screened, "confirmed": self.confirmed}
        return {
            "device": self.device,
            "cpu": self.cpu,
            "runtime": self.runtime,
            "networks": self.networks,
            "built_in": self.built_in,
            "form": self.form,
            "seconds": round(self.seconds, 1),
            "taken_at": self.taken_at,
        } | {name: stage and _stage_json(stage) for name, stage in stages.items()}


def _stage_json(stage: FormComparison) -> dict[str, Any]:
    return {
        "sessions": stage.sessions,
        "rounds": stage.rounds,
        "doubts": stage.doubts,
        "forms": [_row_json(row) for row in stage.ratios],
        "built_in_again": _row_json(stage.again),
    }


def _row_json(row: FormRatio) -> dict[str, Any]:
    if row.refused:
        return {"form": row.form, "refused": row.refused}
    ratios = {name: {"ratio": row.of(name)[0], "ci95": row.of(name)[1]} for name in row.logs}
    return {"form": row.form, "ratio": row.ratio, "ci95": row.ci95(), "networks": ratios}
