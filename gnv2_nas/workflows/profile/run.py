"""Profiling networks: sizes and latencies, comparisons, layers, predictions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from gnv2_nas.arch import Architecture
from gnv2_nas.arch.presets import STOCK
from gnv2_nas.devices.device import Device
from gnv2_nas.devices.profile import check_pace, find_profile, read_profile
from gnv2_nas.errors import BudgetError, InputError
from gnv2_nas.formats.foreign.network import TimedNetwork
from gnv2_nas.latency_model.file import differences, load_device_model
from gnv2_nas.measurement import Measurement
from gnv2_nas.measurement.foreign import check_loads, select_foreign
from gnv2_nas.measurement.peak_memory import check_tells_memory, measure_peak_memory
from gnv2_nas.measurement.records.google_benchmark import check_export, export_samples
from gnv2_nas.measurement.records.history import History, read_history
from gnv2_nas.measurement.records.record import compare
from gnv2_nas.measurement.records.store import append_measurements, store_path
from gnv2_nas.search.study import defaults
from gnv2_nas.search.study.budgets import parse_budget
from gnv2_nas.search.study.metrics import artifact_bytes
from gnv2_nas.units import parse_rate
from gnv2_nas.workflows.devices import calibrate, check_device, report_shortage
from gnv2_nas.workflows.events import Events, Message, ignore, report_messages, report_task
from gnv2_nas.workflows.foreign import check_formats
from gnv2_nas.workflows.profile.results import (
    Comparisons,
    LayerTables,
    Memories,
    Predictions,
    Sizes,
)
from gnv2_nas.workflows.profile.sustained import Sustained, parse_sustained, run_sustained
from gnv2_nas.workflows.references import find_networks


class ProfileRequest(msgspec.Struct, frozen=True):
    """The options of `gnv2-nas profile`."""

    networks: tuple[str, ...] = ()
    """Presets, files or STUDY:TRIAL, or files of other tools; () stands for all presets."""
    device: str = defaults.DEVICE
    layers: bool = False
    memory: bool = False
    """Measure peak memory instead of latency."""
    compare: bool = False
    budget: str = ""
    predict: bool = False
    pace: str = ""
    """Calls a second in place of the profile's, such as "30fps"."""
    sustained: str = ""
    """How long each network runs, such as "5m"."""
    history: bool = False
    """Show earlier measurements instead of measuring."""
    export: tuple[str, str] | None = None
    """Format and file to write raw samples to."""
    reuse: bool = False
    """Use earlier measurements that are as good as new ones."""
    storage: str = defaults.STORAGE

    def check(self) -> CheckedProfile:
        """Check every option without importing torch or a runtime.

        Raises:
            InputError: an option is wrong or contradicts another.
        """
        limit_ms = _parse_limit(self.budget)
        if self.compare and len(self.networks) < 2:
            raise InputError(
                f"--compare needs at least two networks, but got {len(self.networks) or 'none'}"
            )
        _refuse_clashes(self)
        pace = _parse_pace(self.pace)
        profile = read_profile(self.device)
        if profile.benchmark and (pace or self.sustained or self.layers):
            raise InputError(
                f"--pace, --sustained and --layers need our own runner, but device {self.device} "
                f"runs {profile.benchmark.kind}"
            )
        seconds = parse_sustained(self.sustained, profile)
        networks = find_networks(self.networks or STOCK, self.storage)
        _check_foreign(self, networks)
        if self.memory:
            check_tells_memory(self.device, profile)
        if not (self.predict or self.layers or self.memory or self.history):
            check_device(self.device, pace=pace)
        if self.export is not None:
            check_export(*self.export, self.networks)
        return CheckedProfile(self, networks, limit_ms, pace, seconds)


CLASHES = {
    "predict": ("layers", "compare", "budget"),
    "memory": (
        "predict", "layers", "compare", "budget", "pace", "sustained", "reuse", "export",
    ),
    "pace": ("predict", "layers"),
    "sustained": ("predict", "layers", "compare", "budget"),
    "reuse": ("predict", "layers", "compare", "sustained"),
    "export": ("predict", "layers", "sustained"),
    "history": (
        "predict", "layers", "memory", "compare", "budget", "pace", "sustained", "reuse", "export",
    ),
}  # fmt: skip
"""Option of `profile` → options that it does not go with."""


class CheckedProfile(msgspec.Struct, frozen=True):
    """A profile that can start."""

    request: ProfileRequest
    networks: Mapping[str, TimedNetwork]
    """By the name that tables show."""
    limit_ms: float | None
    pace: float | None = None
    """Calls a second; None for the device's own."""
    sustained_seconds: float | None = None


def run_profile(
    checked: CheckedProfile, events: Events = ignore
) -> Sizes | Comparisons | LayerTables | Memories | Predictions | Sustained | History:
    """Measure the networks, or predict their latency. Measurements are kept in `profiles/`.

    Raises:
        MeasurementError: the runtime refused a network, or computes something else than torch.
        InputError: the device has no latency model, or one of another profile.
    """
    from gnv2_nas.measurement.calibration import open_device

    request, networks = checked.request, checked.networks
    wanted = list(networks.values())
    if request.history:
        return read_history(networks, find_profile(request.device).stem)
    ours = {name: each for name, each in networks.items() if isinstance(each, Architecture)}
    if request.predict:
        return _predict(ours, request.device)
    if request.layers:
        return _profile_layers(ours, request.device, events)
    if request.memory:
        return _profile_memory(networks, request.device, events)
    if (seconds := checked.sustained_seconds) is not None:
        return run_sustained(networks, request.device, checked.pace, seconds, events)
    device = open_device(request.device, checked.pace)
    check_loads(wanted, device, report_messages(events))
    calibrate(device, events)
    known = _recall(wanted, device, events) if request.reuse else {}
    missing = [each for each in wanted if each.id not in known]
    measured = _measure(missing, device, events, thorough=request.compare) if missing else []
    append_measurements(measured)
    new = iter(measured)
    measurements = [known[each.id] if each.id in known else next(new) for each in wanted]
    if request.export is not None:
        export_samples(dict(zip(networks, measurements, strict=True)), request.export[1])
    if request.compare:
        first, *others = networks
        found = [compare(each, measurements[0]) for each in measurements[1:]]
        return Comparisons(first, dict(zip(others, found, strict=True)))
    from gnv2_nas.nn.network import fvcore_total

    with report_task(events, "counting with fvcore"):
        totals = [fvcore_total(ours[name]) if name in ours else None for name in networks]
    return Sizes(networks, measurements, totals, checked.limit_ms)


def _check_foreign(request: ProfileRequest, networks: Mapping[str, TimedNetwork]) -> None:
    """Check the files of other tools among the networks."""
    foreign = select_foreign(networks.values())
    given = [name for name in ("layers", "predict") if getattr(request, name)]
    if foreign and given:
        raise InputError(
            f"--{given[0]} needs the architecture of a network, and {foreign[0].name} is a file of "
            "another tool: leave one of them out"
        )
    check_formats(foreign, request.device, read_profile(request.device).runtime)


def _refuse_clashes(request: ProfileRequest) -> None:
    for option, others in CLASHES.items():
        if getattr(request, option) and any(getattr(request, other) for other in others):
            *first, last = (f"--{other}" for other in others)
            raise InputError(
                f"--{option} does not go with {', '.join(first)} or {last}: leave it out"
            )


def _parse_pace(text: str) -> float | None:
    if not text:
        return None
    pace = parse_rate(text, "--pace")
    check_pace(pace, "--pace")
    return pace


def _parse_limit(budget: str) -> float | None:
    if not budget:
        return None
    try:
        parsed = parse_budget(budget)
    except BudgetError:
        parsed = None
    if parsed is None or parsed.metric != "latency":
        raise InputError(f"--budget takes a latency above 0, for example 12ms, but got {budget!r}")
    return parsed.limit


def _measure(
    networks: Sequence[TimedNetwork], device: Device, events: Events, *, thorough: bool
) -> list[Measurement]:
    from gnv2_nas.measurement.plan import COMPARING, MeasurementOptions
    from gnv2_nas.measurement.protocol import measure_networks

    options = COMPARING if thorough else MeasurementOptions()
    with report_task(events, "measuring in shared rounds") as report:
        return measure_networks(
            networks, device, options, progress=report, waiting=report_messages(events)
        )


def _recall(
    networks: Sequence[TimedNetwork], device: Device, events: Events
) -> dict[str, Measurement]:
    """Return earlier measurements that are as good as new ones, by network."""
    from gnv2_nas.measurement.plan import MeasurementOptions
    from gnv2_nas.measurement.records.reuse import find_reusable

    precision, waiting = MeasurementOptions().precision, report_messages(events)
    known = find_reusable(networks, device, precision, waiting=waiting)
    path = store_path(device.name)
    events(Message(f"{len(known)} of {len(networks)} networks were measured before ({path})"))
    return known


def _profile_layers(networks: Mapping[str, Architecture], name: str, events: Events) -> LayerTables:
    from gnv2_nas.measurement.calibration import open_device
    from gnv2_nas.measurement.layers import profile_layers

    device = open_device(name)
    report_shortage(device, events)
    waiting = report_messages(events)
    return LayerTables(
        {label: profile_layers(arch, device, waiting=waiting) for label, arch in networks.items()}
    )


def _profile_memory(networks: Mapping[str, TimedNetwork], name: str, events: Events) -> Memories:
    from gnv2_nas.measurement.calibration import open_device

    device, waiting = open_device(name), report_messages(events)
    artifacts, peaks = list[float](), list[float]()
    with report_task(events, "running each network in a process of its own") as report:
        for arch in networks.values():  # their files together may take gigabytes
            artifacts += artifact_bytes([arch], device, waiting)
            peaks += measure_peak_memory([arch], device, waiting)
            report(len(peaks) / len(networks))
    profile, machine = device.profile, device.fingerprint()
    return Memories(
        device.name, machine, profile.threads, profile.precision, networks, artifacts, peaks
    )


def _predict(networks: Mapping[str, Architecture], name: str) -> Predictions:
    from gnv2_nas.measurement.calibration import open_device

    device = open_device(name)
    model, fitted_on = load_device_model(device)
    predictions = model.predict(list(networks.values()))
    elsewhere = differences(fitted_on, device.fingerprint(), device.profile.threads)
    return Predictions(networks, predictions, model, fitted_on, elsewhere)
