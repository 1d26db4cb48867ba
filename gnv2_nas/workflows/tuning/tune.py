"""`devices tune`: find the form of files that a device runs fastest, and write it to its profile.

The first half of the time compares the built-in form with forms that differ in one option. The best
of them, and the combination of all that were faster, are then measured again: in fresh sessions,
because the best of many is partly the luckiest. Only the second measurement decides.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from gnv2_nas.devices.device import Device
from gnv2_nas.devices.families import needs_tuning, processor_family
from gnv2_nas.devices.profile import DeviceProfile, find_profile, read_profile
from gnv2_nas.devices.profile_form import check_target, find_target, write_form
from gnv2_nas.errors import InputError, MeasurementError, OutOfTimeError, OutputError
from gnv2_nas.graph.passes.form import FileForm
from gnv2_nas.measurement.calibration import open_device
from gnv2_nas.measurement.forms import FormComparison, compare_forms
from gnv2_nas.runner.lock import lock_deadline
from gnv2_nas.runtimes.base import RUNTIMES
from gnv2_nas.workflows.devices import report_shortage
from gnv2_nas.workflows.events import Events, Message, ignore, report_messages, report_task
from gnv2_nas.workflows.tuning.choice import choose_finalists, decide, draw_networks, neighbours
from gnv2_nas.workflows.tuning.result import Tuning

TIMEOUT = 110.0
"""Default time for both measurements, in seconds."""
SCREENING_SHARE = 0.55


class TuneRequest(msgspec.Struct, frozen=True):
    """The options of `gnv2-nas devices tune`."""

    device: str
    timeout: float = TIMEOUT
    seed: int = 0
    """Seed of the drawn network and of the order of measuring."""

    def check(self) -> CheckedTune:
        """Check every option without opening the device.

        Raises:
            InputError: there is no such device, or the files of its runtime have one form only.
            OutputError: the profile cannot be written.
        """
        profile = read_profile(self.device)
        if not RUNTIMES[profile.runtime].takes_form:
            raise InputError(
                f"device {self.device}: files of runtime {profile.runtime!r} have one form only; "
                "there is nothing to tune"
            )
        if not self.timeout > 0:
            raise InputError(f"--timeout: `timeout > 0` must hold, but got {self.timeout:g} s")
        source = find_profile(self.device)
        target = find_target(source)
        check_target(source, target)
        return CheckedTune(self, profile, source, target)


class CheckedTune(msgspec.Struct, frozen=True):
    """A tuning that can start."""

    request: TuneRequest
    profile: DeviceProfile
    source: Path
    target: Path
    """The profile to write: `source`, or for a built-in profile its copy in `profiles/`."""


def tune_device(
    device: Device, *, timeout: float = TIMEOUT, seed: int = 0, events: Events = ignore
) -> Tuning:
    """Measure forms on an open device. Writes nothing.

    Args:
        device: the device; the form of its profile is one of those that are measured.
        timeout: seconds for everything.
        seed: see `TuneRequest`.
        events: told about waiting and progress.

    Raises:
        MeasurementError: the device refused a file of the built-in form, or failed.
        OutOfTimeError: another process used the machine until the end.
    """
    began, now = time.monotonic(), datetime.now(UTC).isoformat(timespec="seconds")
    built_in, networks = device.runtime.built_in_form, draw_networks(seed)
    own = device.profile.form.without(built_in)
    forms = list(dict.fromkeys([*neighbours(built_in), *([own] if own != FileForm() else [])]))

    def measure(forms: Sequence[FileForm], share: float, task: str, seed: int) -> FormComparison:
        started, deadline = time.monotonic(), began + share * timeout
        left = max(deadline - started, 1e-3)
        with lock_deadline(began + timeout), report_task(events, task) as report:
            return compare_forms(
                device,
                networks,
                forms,
                seed=seed,
                deadline=deadline,
                waiting=report_messages(events),
                progress=lambda _: report(min((time.monotonic() - started) / left, 1.0)),
            )

    task = f"measuring {len(forms)} forms on device {device.name}"
    screened, confirmed = measure(forms, SCREENING_SHARE, task, seed), None
    if finalists := choose_finalists(screened):
        task = f"confirming {' and '.join(map(str, finalists))}"
        confirmed = measure(finalists, 1.0, task, seed + 1)
    machine = device.fingerprint()
    return Tuning(
        device=device.name,
        cpu=machine.cpu,
        runtime=machine.runtime,
        networks={name: arch.id for name, arch in networks.items()},
        screened=screened,
        confirmed=confirmed,
        form=decide(confirmed) if confirmed else FileForm(),
        built_in=built_in,
        seconds=time.monotonic() - began,
        taken_at=now,
    )


def tune_unknown_family(name: str, events: Events = ignore) -> Tuning | None:
    """Tune a device that was just set up, unless its processor family was measured before.

    A device that cannot be tuned keeps the built-in form, and the user is told why.

    Raises:
        DeviceError: it cannot be reached.
    """
    profile = read_profile(name)
    device = open_device(name)
    try:
        machine = device.fingerprint()
    finally:
        device.host.close()
    if not needs_tuning(machine, profile.runtime):
        return None
    family = processor_family(machine)
    events(Message(f"{name}: the fastest form of files is not known for {family}; measuring it"))
    try:
        return run_tune(TuneRequest(name).check(), events)
    except (MeasurementError, OutOfTimeError, OutputError) as error:
        events(Message(f"{name} was set up, but not tuned: {error}"))
        return None


def run_tune(checked: CheckedTune, events: Events = ignore) -> Tuning:
    """Measure forms on the device, and write the chosen one to its profile if it is another.

    Raises:
        MeasurementError, OutOfTimeError: see `tune_device`.
        OutputError: the profile was changed meanwhile, or cannot be edited.
    """
    request = checked.request
    device = open_device(request.device)
    report_shortage(device, events)
    try:
        tuning = tune_device(device, timeout=request.timeout, seed=request.seed, events=events)
    finally:
        device.host.close()
    before = checked.profile.form.without(tuning.built_in)
    if tuning.doubts or tuning.form == before:
        events(Message(f"{checked.source}: unchanged, its form is {before}"))
        return tuning
    write_form(checked.source, checked.target, checked.profile, tuning.form, tuning.describe())
    events(Message(f"written: {checked.target}, form: {tuning.form} (before: {before})"))
    events(
        Message(
            f"files for device {device.name} differ from now on: it is calibrated again, and "
            "studies, latency models and measurements from before do not mix with new ones"
        )
    )
    return tuning
