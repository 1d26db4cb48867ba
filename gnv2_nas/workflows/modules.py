"""`gnv2-nas modules`: the claims of the GhostNet papers on a device, and the axes that pay."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from gnv2_nas.commands import format_command
from gnv2_nas.devices.device import Device
from gnv2_nas.devices.profile import find_profile, read_profile
from gnv2_nas.errors import InputError, MeasurementError
from gnv2_nas.files.outputs import PAGE, Kind, check_outputs, check_replaceable, starts_with
from gnv2_nas.files.writing import SUFFIXES, check_writable, write_atomically
from gnv2_nas.measurement.modules.cases import list_comparisons
from gnv2_nas.measurement.modules.findings import (
    AxisFinding,
    MeasuredComparison,
    ModuleFindings,
    judge_axes,
    summarize,
)
from gnv2_nas.report.files import file_stem
from gnv2_nas.report.modules_page.words import describe_axis
from gnv2_nas.runner.lock import lock_deadline
from gnv2_nas.runtimes.graphs import check_runs_graphs
from gnv2_nas.search.study import defaults
from gnv2_nas.space import AXES, SearchSpace, load_space
from gnv2_nas.space.narrowing import remove_axes
from gnv2_nas.workflows.devices import check_device, report_shortage
from gnv2_nas.workflows.events import Events, Message, ignore, report_messages, report_task

TIMEOUT = 150.0
"""Default time for all comparisons, in seconds."""
MARK = "Axes that pay, found by `gnv2-nas modules"
"""Begins the comment at the top of a space that was written here."""
_SPACE = Kind("the search space", lambda path: starts_with(path, f"# {MARK}".encode()))


class ModulesRequest(msgspec.Struct, frozen=True):
    """The options of `gnv2-nas modules`."""

    device: str = defaults.DEVICE
    timeout: float = TIMEOUT
    seed: int = 0
    """Seed of the order of measuring."""
    space: str = defaults.SPACE
    """Search space that `write_space` keeps the axes of that pay."""
    write_space: Path | None = None
    reports: Path = Path(defaults.REPORTS)

    def check(self) -> CheckedModules:
        """Check every option without opening the device.

        Raises:
            InputError: there is no such device or space, or the runtime runs whole networks only.
            OutputError: the page or the space cannot be written.
        """
        check_device(self.device)
        try:
            check_runs_graphs(read_profile(self.device).runtime)
        except InputError as error:
            raise InputError(f"device {self.device}: {error}") from None
        if not self.timeout > 0:
            raise InputError(f"--timeout: `timeout > 0` must hold, but got {self.timeout:g} s")
        space = load_space(self.space)
        if self.write_space is not None:
            if self.write_space.suffix not in SUFFIXES:
                raise InputError(
                    f"--write-space {self.write_space}: a search space ends in "
                    f"{' or '.join(SUFFIXES)}"
                )
            check_outputs({self.write_space: _SPACE}, [space.path], "--write-space")
        check_writable(self.reports)
        page = self.reports / f"modules-{file_stem(find_profile(self.device).stem)}.html"
        check_replaceable(page, PAGE, "--reports")
        return CheckedModules(self, space, page)


class CheckedModules(msgspec.Struct, frozen=True):
    """A comparison of modules that can start."""

    request: ModulesRequest
    space: SearchSpace
    page: Path


def measure_modules(
    device: Device, *, timeout: float = TIMEOUT, seed: int = 0, events: Events = ignore
) -> ModuleFindings:
    """Measure all comparisons on an open device. Writes nothing.

    Args:
        device: the device.
        timeout: seconds for everything; with too few rounds in that time, nothing follows.
        seed: see `ModulesRequest`.
        events: told about waiting and progress.

    Raises:
        MeasurementError: the device failed, or ran no module.
        OutOfTimeError: another process used the machine until the end.
    """
    from gnv2_nas.measurement.modules.times import time_graphs

    began, taken_at = time.monotonic(), datetime.now(UTC).isoformat(timespec="seconds")
    comparisons = {comparison: comparison.graphs() for comparison in list_comparisons()}
    left = sum(map(len, comparisons.values()))
    found: list[MeasuredComparison] = []
    axes: list[AxisFinding] = []
    for number, (comparison, graphs) in enumerate(comparisons.items()):
        started = time.monotonic()
        # What a comparison leaves of its time goes to those after it.
        seconds = max(began + timeout - started, 1e-3) * len(graphs) / left
        left -= len(graphs)
        task = f"{comparison.title} ({number + 1} of {len(comparisons)})"
        with lock_deadline(began + timeout), report_task(events, task) as report:
            times = time_graphs(
                device,
                graphs,
                seed=seed + number,
                deadline=started + seconds,
                waiting=report_messages(events),
                progress=report,
            )
        found.append(summarize(comparison, times))
        axes += judge_axes(comparison, times)
    order = list(AXES)
    axes.sort(key=lambda finding: order.index(finding.axis))
    if all(one.again is None for one in found):
        reason = found[0].rows[0].refused
        raise MeasurementError(f"device {device.name} ran no module: {reason}")
    machine, profile = device.fingerprint(), device.profile
    return ModuleFindings(
        device=device.name,
        cpu=machine.cpu,
        runtime=machine.runtime,
        threads=profile.threads,
        precision=profile.precision,
        clock=device.clock,
        comparisons=tuple(found),
        axes=tuple(axes),
        seconds=time.monotonic() - began,
        taken_at=taken_at,
    )


def run_modules(checked: CheckedModules, events: Events = ignore) -> ModuleFindings:
    """Measure modules on the device, write the page and, if asked for, the space.

    Raises:
        MeasurementError: see `measure_modules`, or nothing follows from the times, so that there
            is no space to write.
        SpaceError: no axis of the space pays.
        StorageError: the disk refused a write.
    """
    from gnv2_nas.measurement.calibration import open_device
    from gnv2_nas.report.modules_page.page import render_modules_page

    request = checked.request
    device = open_device(request.device)
    report_shortage(device, events)
    try:
        findings = measure_modules(
            device, timeout=request.timeout, seed=request.seed, events=events
        )
    finally:
        device.host.close()
    write_atomically(checked.page, render_modules_page(findings, _search_command(checked)))
    events(Message(f"page: {checked.page}"))
    if request.write_space is not None:
        if findings.doubts:
            raise MeasurementError(
                f"nothing follows from these times ({'; '.join(findings.doubts)}), so "
                f"{str(request.write_space)!r} was not written; give more --timeout"
            )
        idle = [axis.axis for axis in findings.axes if not axis.pays]
        about = f"{checked.space.name} with only the axes that pay on device {findings.device}"
        text = remove_axes(checked.space, idle, about, list(_notes(checked, findings)))
        write_atomically(request.write_space, text)
        events(Message(f"written: {request.write_space}"))
    return findings


def _notes(checked: CheckedModules, findings: ModuleFindings) -> Iterator[str]:
    """Yield the lines of the comment at the top of a space."""
    request = checked.request
    yield f"{MARK} --device {request.device} --space {checked.space.name}`, {findings.taken_at}:"
    yield f"{findings.runtime} on {findings.cpu}."
    opened = {gene.axis for gene in checked.space.genes}
    for axis in findings.axes:
        if axis.axis in opened:
            yield f"{'kept' if axis.pays else 'left out'}: {describe_axis(axis)}"


def _search_command(checked: CheckedModules) -> str:
    """Return the search on the space that was written, or the command that writes one."""
    request, target = checked.request, checked.request.write_space
    device = ("--device", request.device)
    if target is None:
        name = f"{find_profile(request.device).stem}-pays.yaml"
        written = [device, ("--write-space", name)]
        return format_command("modules", options=written)
    return format_command("search", options=[device, ("--space", str(target))])
