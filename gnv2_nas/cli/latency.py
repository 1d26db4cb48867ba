"""Latency models on the command line: fitted with progress, printed with their errors."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from gnv2_nas.arch import Architecture
from gnv2_nas.cli.console import print_json, print_table, say
from gnv2_nas.cli.live import is_live
from gnv2_nas.cli.measuring import calibrated_device, with_progress
from gnv2_nas.cli.progress import LOG_EVERY_SECONDS
from gnv2_nas.commands import format_command
from gnv2_nas.graph import count
from gnv2_nas.latency_model.file import FittedOn, differences, load_device_model
from gnv2_nas.latency_model.model import LatencyModel, PredictedLatency
from gnv2_nas.stats.intervals import Z95
from gnv2_nas.units import format_duration
from gnv2_nas.workflows.latency import (
    LatencyFitRequest,
    check_latency_fit,
    known_measurements,
    run_latency_fit,
)

Fit = tuple[LatencyModel, FittedOn, Path]

FAR = 2.0
"""A prediction this many times less certain than a typical one is of another kind of network."""

UNKNOWN = 3.0
"""A prediction that may be off by this factor is none."""


def fit_with_progress(request: LatencyFitRequest) -> Fit:
    """Carry out a fit and keep the model."""
    checked = check_latency_fit(request)
    device = calibrated_device(request.device)
    known, wanted = known_measurements(device), len(checked.architectures)
    before = sum(arch.id in known for arch in checked.architectures)
    say(
        f"{wanted} networks of space {checked.space.name}, {before} of them measured before; "
        f"every measurement is kept in profiles/{device.name}.jsonl"
    )
    log = _LogLines(wanted - before)

    def fit(bar: Callable[[float], None]) -> Fit:
        def progress(share: float) -> None:
            bar(share)
            log.now_and_then(share)

        return run_latency_fit(checked, device, progress, waiting=say)

    try:
        return with_progress(f"measuring {wanted - before} networks", fit)
    except KeyboardInterrupt:
        say("interrupted; the same command goes on with the networks that are left")
        raise


class _LogLines:
    """A plain line now and then, where there is no terminal for a bar."""

    def __init__(self, networks: int) -> None:
        self._networks = networks
        self._started = self._last = time.monotonic()

    def now_and_then(self, share: float) -> None:
        now = time.monotonic()
        if is_live() or now - self._last < LOG_EVERY_SECONDS or share <= 0:
            return
        self._last = now
        left = format_duration((now - self._started) * (1 - share) / share)
        say(f"measuring {self._networks} networks: {share:.0%} · {left} left")


def print_fit(
    name: str, model: LatencyModel, fitted_on: FittedOn, path: Path, *, json: bool
) -> None:
    """The errors of a model that was fitted to the device of a name or path, and where it lies."""
    if json:
        return print_json(model_json(model, fitted_on) | {"file": str(path)})
    _print_errors(model)
    source = fitted_on.corrected_from
    kind = f"the model of {source!r} corrected by" if source else "fitted to"
    say(f"{kind} {model.networks} networks of space {fitted_on.space}, device {fitted_on.device}")
    say(f"errors: of {model.held_out} networks, each predicted by a model that had not seen it;")
    say("noise floor: what a perfect model would seem to be off by, the measurements being noisy.")
    say(
        f"kept in {path}; next: {format_command('profile --predict', options=[('--device', name)])}"
    )
    return None


def model_json(model: LatencyModel, fitted_on: FittedOn) -> dict[str, Any]:
    """What is known of a model, for scripts."""
    return {
        "fitted_on": fitted_on,
        "networks": model.networks,
        "held_out": model.held_out,
        "errors": model.errors,
        "noise_floor": model.noise_floor,
        "reference_ms": model.reference_ms,
    }


def _print_errors(model: LatencyModel) -> None:
    rows = [
        (each.name, f"{each.error:.1%}", "–" if each.tau is None else f"{each.tau:.2f}")
        for each in model.errors
    ]
    rows.append(("noise floor", f"{model.noise_floor:.1%}", "–"))
    print_table(("predicted by", "mean error", "Kendall τ"), rows)


def predict(networks: Mapping[str, Architecture], device: str, *, json: bool) -> None:
    """Predict the latency of each network from the device's model.

    Raises:
        InputError: there is no model, or it was fitted with another profile.
    """
    from gnv2_nas.measurement.calibration import open_device

    opened = open_device(device)
    model, fitted_on = load_device_model(opened)
    predictions = dict(zip(networks, model.predict(list(networks.values())), strict=True))
    elsewhere = differences(fitted_on, opened.fingerprint(), opened.profile.threads)
    if json:
        rows = [_json(name, networks[name], each) for name, each in predictions.items()]
        answer = {"predictions": rows, "model": model_json(model, fitted_on)}
        return print_json(answer | {"differences": elsewhere})
    _print_predictions(networks, predictions, model)
    _explain(model, fitted_on)
    for difference in elsewhere:
        say(f"warning: the model is of another machine; {difference}")
    return None


def _json(name: str, arch: Architecture, predicted: PredictedLatency) -> dict[str, Any]:
    counts = count(arch)
    return {
        "network": name,
        "id": arch.id,
        "params": counts.params,
        "macs": counts.macs,
        "predicted_latency": predicted,
    }


def _print_predictions(
    networks: Mapping[str, Architecture],
    predictions: Mapping[str, PredictedLatency],
    model: LatencyModel,
) -> None:
    typical = model.error.error * math.sqrt(math.pi / 2)  # standard deviation of normal errors
    rows = []
    for name, predicted in predictions.items():
        counts = count(networks[name])
        sizes = (f"{counts.params / 1e6:.2f}", f"{counts.macs / 1e6:.2f}")
        rows.append((name, *sizes, *_cells(predicted, typical)))
        if predicted.std > FAR * typical:
            say(f"? {name}: unlike the networks that the model was fitted to; measure it")
    columns = ("network", "Mparams", "MFLOPs", "predicted ms", "95 %", "÷ V2 1.0")
    print_table(columns, rows)


def _cells(predicted: PredictedLatency, typical: float) -> tuple[str, str, str]:
    """Milliseconds, 95 % interval and ratio; nothing that is uncertain by a factor."""
    half = Z95 * predicted.std
    if half > math.log(UNKNOWN):
        return "cannot tell", "–", "–"
    mark = " ?" if predicted.std > FAR * typical else ""
    low, high = (predicted.ms * math.exp(side * half) for side in (-1, 1))
    return f"{predicted.ms:.2f}{mark}", f"{low:.2f}–{high:.2f}", f"{predicted.ratio:.3f}"


def _explain(model: LatencyModel, fitted_on: FittedOn) -> None:
    others = ", ".join(f"{each.name} {each.error:.1%}" for each in model.errors[1:])
    say(
        f"predicted, not measured: the model of device {fitted_on.device} is "
        f"{model.error.error:.1%} off on {model.held_out} networks it had not seen ({others}, "
        f"noise floor {model.noise_floor:.1%})"
    )
    say(
        f"fitted to {model.networks} networks of space {fitted_on.space} on "
        f"{fitted_on.fingerprint.cpu}, {fitted_on.fingerprint.runtime}"
    )
    say("95 %: where a measurement would be, 19 times of 20; without --predict it is measured.")
