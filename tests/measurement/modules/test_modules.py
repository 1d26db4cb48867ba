"""Modules of the papers: their theory, their ratios without the frame, and which axes pay."""

from __future__ import annotations

import math
import time

import pytest
from msgspec.structs import replace

from gnv2_nas.devices.transports.local import LocalTransport
from gnv2_nas.errors import DeviceError, MeasurementError
from gnv2_nas.measurement import open_device
from gnv2_nas.measurement.modules import cases
from gnv2_nas.measurement.modules.cases import list_comparisons
from gnv2_nas.measurement.modules.findings import SMALLER, judge_axes, summarize
from gnv2_nas.measurement.modules.times import GraphTimes, Interval, time_graphs
from gnv2_nas.space import AXES
from gnv2_nas.workflows.modules import measure_modules
from tests.devices.remote import remote_device, set_up
from tests.modules import shorten_modules

COMPARISONS = {comparison.name: comparison for comparison in list_comparisons()}
FRAME_SECONDS, ERROR = 0.001, 0.01


def work(comparison, variant, place):
    (case,) = (
        each
        for each in COMPARISONS[comparison].cases
        if each.variant == variant and each.place == place
    )
    return case.work


def times_of(comparison, seconds, refused=()):
    """Times of graphs: a millisecond for each frame, `seconds(variant)` for each module."""
    known, refusals = {}, {}
    for case in comparison.cases:
        known[case.frame] = FRAME_SECONDS
        known[case.graph] = FRAME_SECONDS + case.times * seconds(case.variant)
        if case.variant in refused:
            refusals[case.graph] = "no such layer"
    errors = dict.fromkeys(known, ERROR)
    return GraphTimes(known, errors, refusals, Interval(1, 1, 1), sessions=2, rounds=20)


def axes_of(name, seconds, refused=()):
    comparison = COMPARISONS[name]
    found = judge_axes(comparison, times_of(comparison, seconds, refused))
    return {finding.axis: finding for finding in found}


def test_theory_is_that_of_the_papers():
    """GhostNet, eq. 4 with c = n = 64; GhostNetV2, sec. 3: of K_H and K_W taps, and of all."""
    place = ("28×28", "64 channels")
    for ratio, kernel in ((2, 3), (4, 3), (2, 5)):
        found = work("ghost", cases.CONVOLUTION, place) / work(
            "ghost", f"s={ratio}, d={kernel}", place
        )
        assert found == pytest.approx(64 / (64 / ratio + (ratio - 1) / ratio * kernel**2))
    full = work("attention", cases.MATRIX, place)
    assert full == 64 * (28 * 28) ** 2 == work("attention", cases.DEPTHWISE, place)
    assert work("attention", "DFC, 5 taps", place) == 64 * 28 * 28 * (5 + 5)
    assert work("attention", "DFC, all taps", place) == 64 * 28 * 28 * (28 + 28)


def test_every_axis_is_of_the_spaces_and_its_variants_share_places():
    for axis, name, larger, smaller, _ in SMALLER:
        assert axis in AXES
        places = {
            variant: {case.place for case in COMPARISONS[name].cases if case.variant == variant}
            for variant in (larger, smaller)
        }
        assert places[larger] & places[smaller]


def test_a_ratio_is_that_of_the_modules_and_its_error_that_of_all_graphs():
    comparison = COMPARISONS["bottlenecks"]
    times = times_of(comparison, lambda variant: 0.004 if variant == cases.V2_FIRST else 0.002)
    v1, first = (
        next(case for case in comparison.cases if case.variant == variant)
        for variant in (cases.V1, cases.V2_FIRST)
    )
    found = times.ratio([(first, v1)])
    assert found.value == pytest.approx(2)
    # Four modules of 4 ms or 2 ms, and the millisecond of the frame that both have.
    slopes = (17 / 16, -9 / 8, 1 / 8 - 1 / 16)
    half = 1.96 * ERROR * math.hypot(*slopes)
    assert math.log(found.high / found.value) == pytest.approx(half)


def test_an_axis_pays_if_its_saving_is_beyond_its_interval():
    seconds = {"11×5 taps": 0.004, "5×3 taps": 0.0022, "factor 4": 0.001, "bilinear": 0.001}
    found = axes_of("dfc", lambda variant: seconds.get(variant, 0.002))
    assert found["dfc_kernel_h"].saving.value == pytest.approx(0.5)
    assert {axis for axis, finding in found.items() if finding.pays} == {
        "dfc_kernel_h", "dfc_factor"
    }  # fmt: skip
    assert {axis for axis, finding in found.items() if finding.costs} == {
        "dfc_kernel_w", "dfc_resize"
    }  # fmt: skip
    assert found["dfc_pool"].saving.low < 0 < found["dfc_pool"].saving.high


def test_what_the_device_refuses_has_no_ratio_and_does_not_pay():
    found = axes_of("dfc", lambda _: 0.002, refused=["bilinear"])["dfc_resize"]
    assert (found.saving, found.refused, found.pays) == (None, "no such layer", False)
    comparison = COMPARISONS["ghost"]
    times = times_of(comparison, lambda _: 0.002, refused=["s=3, d=3", cases.CONVOLUTION])
    rows = {row.variant: row for row in summarize(comparison, times).rows}
    assert rows["s=3, d=3"].refused == "no such layer"
    assert rows["s=2, d=3"].refused == "1×1 convolution: no such layer"
    assert rows["s=2, d=3"].ms == pytest.approx(2.0)


def test_a_module_that_its_frame_hides_has_no_ratio():
    comparison = COMPARISONS["ghost"]
    tiny = times_of(comparison, lambda variant: 1e-6 if variant == "s=2, d=1" else 0.002)
    rows = [row for row in summarize(comparison, tiny).rows if row.variant == "s=2, d=1"]
    assert {row.refused for row in rows} == {"too short to tell from its frame"}


@pytest.fixture
def few(monkeypatch):
    shorten_modules(monkeypatch.setattr)
    return {comparison.name: comparison for comparison in list_comparisons()}


def measure(device, graphs):
    return time_graphs(
        device, graphs, seed=0, deadline=time.monotonic() + 60, waiting=lambda _: None
    )


@pytest.mark.parametrize("refusal", [MeasurementError("no such layer"), DeviceError("gone")])
def test_a_device_leaves_out_what_it_refuses(few, monkeypatch, refusal):
    """A refused file is left out; a device that fails ends the measurement."""
    device, graphs = open_device("cpu"), few["attention"].graphs()
    load = device.runtime.load
    refused = {}

    def refuse(files, threads):
        if len(refused) < 2 and files not in refused.values():
            refused[len(refused)] = files
        if files in refused.values():
            raise refusal
        return load(files, threads)

    monkeypatch.setattr(device.runtime, "load", refuse)
    if isinstance(refusal, DeviceError):
        with pytest.raises(DeviceError, match="gone"):
            measure(device, graphs)
        return
    found = measure(device, graphs)
    assert set(found.refused.values()) == {"no such layer"}
    assert len(found.refused) == 2
    assert set(found.seconds) | set(found.refused) == set(graphs)
    assert found.again.low < found.again.value < found.again.high


def test_another_machine_gives_ratios(few, tmp_path):
    """Another process behind a transport."""
    set_up(tmp_path)
    device, comparison = remote_device(LocalTransport("board", tmp_path)), few["bottlenecks"]
    try:
        times = measure(device, comparison.graphs())
    finally:
        device.host.close()
    found = summarize(comparison, times)
    assert (found.rounds, found.sessions) == (12, 1)
    assert all(pooled.ratio.low < pooled.ratio.high for pooled in found.pooled)


def test_a_device_that_runs_nothing_says_why(few, monkeypatch):
    device, comparison = open_device("cpu"), few["dfc"]

    def refuse(*_):
        raise MeasurementError("no such layer")

    monkeypatch.setattr(device.runtime, "load", refuse)
    found = summarize(comparison, measure(device, comparison.graphs()))
    assert {row.refused for row in found.rows} == {"no such layer"}
    assert (found.again, found.doubts) == (None, ())
    with pytest.raises(MeasurementError, match="device cpu ran no module: no such layer"):
        measure_modules(device)


def test_too_few_rounds_are_told():
    times = replace(times_of(COMPARISONS["ghost"], lambda _: 0.002), rounds=3)
    assert "only 3 rounds" in summarize(COMPARISONS["ghost"], times).doubts[0]
