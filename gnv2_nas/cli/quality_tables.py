"""What `gnv2-nas quality` prints."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from gnv2_nas.cli.console import print_json, print_table, say
from gnv2_nas.commands import quote
from gnv2_nas.quality.base import ESTIMATORS, EstimatorInfo

if TYPE_CHECKING:
    from gnv2_nas.quality.predictor.model import Predictor
    from gnv2_nas.quality.trust.panel import TrustPanel


def print_estimators(*, json: bool) -> None:
    """What a search can maximise."""
    if json:
        return print_json(dict(ESTIMATORS))
    rows = [
        (_spec(info), info.note, "yes" if info.is_accuracy else "no", _needs(info), _noise(info),
         info.cost)
        for info in ESTIMATORS.values()
    ]  # fmt: skip
    columns = ("--quality", "what it is", "accuracy", "needs", "noise", "a network costs")
    print_table(columns, rows, left=6)
    return say("how far to believe them: gnv2-nas quality check --data DIR --space NAME")


def _spec(info: EstimatorInfo) -> str:
    if info.needs_file:
        return f"{info.name}:FILE"
    return f"{info.name}[:FILE]" if info.file else info.name


def _needs(info: EstimatorInfo) -> str:
    needs = ["images"] * info.needs_data + ["a file"] * info.needs_file
    return ", ".join(needs) or "nothing"


def _noise(info: EstimatorInfo) -> str:
    if info.noise:
        return f"{info.noise:g}{info.unit}"
    return "said when opened" if info.needs_file else "none"


def print_panel(panel: TrustPanel, *, json: bool) -> None:
    """How the scores ordered the networks that were trained."""
    from gnv2_nas.report.trust_table import TRUST_COLUMNS, trust_caption, trust_rows

    if json:
        return print_json(panel)
    print_table(TRUST_COLUMNS, trust_rows(panel), left=1)
    say(trust_caption(panel))
    return say(panel.data_free_sentence())


def print_predictor(predictor: Predictor, output: Path, *, json: bool) -> None:
    """The held-out error of a predictor, beside those of the baselines."""
    if json:
        return print_json(
            {"predictor": str(output), "networks": predictor.networks, "errors": predictor.errors}
        )
    rows = [
        (each.name, f"{each.mae:.2f}", f"{each.rmse:.2f}", str(each.agreement or "–"))
        for each in predictor.errors
    ]
    print_table(("held-out error", "mean, %", "root mean square, %", "τ [95%]"), rows)
    spec = f"predictor:{output}"
    say(f"cross-validated over {predictor.networks} networks of space {predictor.space}")
    return say(f"predictor: {output}; use it with --quality {quote(spec)}")
