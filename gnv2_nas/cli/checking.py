"""Trust checks and predictors with their progress on the terminal."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

from gnv2_nas.cli.console import say
from gnv2_nas.cli.live import LiveLine, is_live
from gnv2_nas.cli.measuring import with_progress
from gnv2_nas.cli.progress import LOG_EVERY_SECONDS
from gnv2_nas.units import format_duration, format_quantity

if TYPE_CHECKING:
    from gnv2_nas.quality.predictor.model import Predictor
    from gnv2_nas.quality.trust.check import TrustPlan, TrustProgress
    from gnv2_nas.quality.trust.panel import TrustPanel
    from gnv2_nas.workflows.trust import CheckedTrustRequest


def check_with_progress(checked: CheckedTrustRequest) -> TrustPanel:
    """Carry out a trust check and keep its panel."""
    from gnv2_nas.quality.trust.check import run_trust_check
    from gnv2_nas.quality.trust.panel import save_trust
    from gnv2_nas.workflows.trust import plan_trust_check

    plan = with_progress(
        f"reading the images of {checked.request.data}",
        lambda progress: plan_trust_check(checked, progress),
    )
    for line in (*plan.dataset.report.lines(), *_plan_lines(plan)):
        say(line)
    with LiveLine() as live:
        shown = _Shown()

        def show(progress: TrustProgress) -> None:
            if is_live():
                live.show(progress_line(progress))
            else:
                shown.now_and_then(progress_line(progress))

        try:
            panel = run_trust_check(plan, checked.estimators, show)
        except KeyboardInterrupt:
            say("interrupted; the same command goes on with the trainings that are left")
            raise
    say(f"kept in {save_trust(panel)}")
    return panel


class _Shown:
    """A plain line now and then, for a log."""

    def __init__(self) -> None:
        self._last = float("-inf")

    def now_and_then(self, line: str) -> None:
        if time.monotonic() - self._last >= LOG_EVERY_SECONDS:
            self._last = time.monotonic()
            say(line)


def _plan_lines(plan: TrustPlan) -> list[str]:
    networks = plan.drawn.networks
    inside = sum(each.in_band for each in networks)
    low, high = (format_quantity("macs", bound) for bound in plan.drawn.band)
    lines = [
        f"{len(networks)} networks of space {plan.space.name}, {inside} of them in the band of "
        f"{low} to {high}; each trained {plan.seeds} times: {plan.describe_training()}"
    ]
    known = plan.finished()
    if known:
        lines.append(f"going on with {known} finished trainings")
    return lines


def progress_line(progress: TrustProgress) -> str:
    """ "training 3 of 24 · network 3 · 45% · 12 min 5 s left"."""
    share = progress.point.step / progress.point.steps
    parts = [
        f"training {progress.done + 1} of {progress.total}",
        f"network {progress.network}, seed {progress.seed}",
        f"{share:.0%}",
    ]
    if progress.seconds_left is not None:
        parts.append(f"{format_duration(progress.seconds_left)} left")
    return " · ".join(parts)


def fit_with_progress(
    data: str, space: str, quality: str, output: Path, networks: int, seed: int
) -> Predictor:
    """Evaluate networks, fit a predictor and keep it."""
    from gnv2_nas.workflows.predictor import accuracies_path, check_fit_request

    checked = check_fit_request(data, space, quality, output, networks)

    from gnv2_nas.data import load_dataset
    from gnv2_nas.quality.base import QualityContext
    from gnv2_nas.quality.predictor.file import save_predictor
    from gnv2_nas.workflows.predictor import evaluate_and_fit

    dataset = with_progress(
        f"reading the images of {data}",
        lambda progress: load_dataset(data, max(checked.resolutions), progress=progress),
    )
    context = QualityContext(space=checked, dataset=dataset, seed=seed)
    predictor = with_progress(
        f"evaluating {networks} networks",
        lambda progress: evaluate_and_fit(
            quality, context, networks, accuracies_path(output), progress
        ),
    )
    save_predictor(predictor, output)
    return predictor
