"""`measure` on the real device: what comes back, not how fast this machine is."""

from __future__ import annotations

import time

import msgspec
import pytest

import gnv2_nas
from gnv2_nas.arch import preset
from gnv2_nas.errors import InputError, UnknownNameError
from gnv2_nas.measurement import Measurement, measure, open_device
from gnv2_nas.measurement.records.record import compare
from gnv2_nas.measurement.records.store import hash_files
from tests.measurement.networks import tiny_ghost


def test_one_measurement_each_in_the_order_given(measurements, timed):
    assert [found.architecture for found in measurements] == [arch.id for arch in timed]
    small, stock, again, _ = measurements
    assert small.ratio < 0.5
    assert again.ratio < 0.5
    assert small.wall_ms != again.wall_ms
    assert stock.ratio == pytest.approx(1, rel=0.25)


def test_all_share_the_rounds_and_every_round_is_kept(measurements):
    (rounds,) = {found.rounds for found in measurements}
    assert rounds >= 1
    for found in measurements:
        assert len(found.wall_ms) == len(found.cpu_ms) == rounds
        assert min(found.wall_ms + found.cpu_ms) > 0
        assert found.sessions >= 2
    assert len({found.batch for found in measurements}) == 1


def test_the_samples_of_the_panel_come_along(measurements, cpu):
    (panel,) = {id(found.panel): found.panel for found in measurements}.values()
    assert panel.batch == measurements[0].batch
    assert list(panel.session) == sorted(panel.session)
    assert set(panel.session) == set(range(measurements[0].sessions))
    assert panel.wall_ms.keys() == panel.cpu_ms.keys() <= cpu.panel.keys()
    for samples in (*panel.wall_ms.values(), *panel.cpu_ms.values()):
        assert len(samples) == measurements[0].rounds
        assert min(samples) > 0


def test_the_files_and_the_profile_are_named_by_their_content(measurements, cpu, timed):
    assert {found.profile_hash for found in measurements} == {cpu.profile.content_hash}
    hashes = [found.files_hash for found in measurements]
    assert hashes == [hash_files(cpu.runtime.write(arch)) for arch in timed]
    assert hashes[0] == hashes[2]
    assert len(set(hashes)) == 3


def test_every_file_was_held_against_torch(measurements):
    assert all(0 < found.parity < 1e-3 for found in measurements)


def test_the_numbers_of_a_measurement_agree(measurements):
    reference = measurements[0].ms / measurements[0].ratio
    for found in measurements:
        assert found.ms == pytest.approx(found.ratio * reference)
        assert found.ci95 == pytest.approx([bound * reference for bound in found.ratio_ci95])
        low, high = found.ci95
        assert low <= found.ms <= high
        assert min(found.wall_ms) <= found.raw_ms <= max(found.wall_ms)
        assert found.clock == "cpu"
        # The estimate is of the same size as the samples it was made from.
        assert 0.5 < found.ms / sorted(found.cpu_ms)[found.rounds // 2] < 2


def test_a_measurement_says_where_it_was_taken(measurements, cpu):
    for found in measurements:
        assert (found.device, found.runtime, found.threads, found.precision) == (
            "cpu", "onnxruntime", 1, "fp32",
        )  # fmt: skip
        assert found.taken_at.endswith("+00:00")
        assert found.fingerprint.runtime.startswith("onnxruntime ")
        assert found.fingerprint.cores >= 1
        assert found.fingerprint.memory_gib > 0
        assert found.fingerprint.cpu


def test_a_measurement_survives_json(measurements):
    for found in measurements:
        text = msgspec.json.encode(found)
        assert msgspec.json.decode(text, type=Measurement) == found
        summary = found.drop_samples()
        assert summary.wall_ms == summary.cpu_ms == ()
        assert summary.panel is None
        assert summary.ratio_ci95 == found.ratio_ci95
        assert msgspec.convert(msgspec.to_builtins(summary), Measurement) == summary


def test_milliseconds_are_those_of_the_reference_that_is_asked_for(cpu):
    shares = []
    (found,) = measure(
        [tiny_ghost()], cpu, precision=1, seconds_per_network=0.7, reference_ms=100.0,
        progress=shares.append,
    )  # fmt: skip
    assert found.ms == pytest.approx(100 * found.ratio)
    assert found.ci95 == pytest.approx([100 * bound for bound in found.ratio_ci95])
    assert found.raw_ms < 20
    assert shares == sorted(shares)
    assert shares[-1] == 1


def test_a_pace_is_measured_and_recorded(cpu, measurements):
    (found,) = measure([tiny_ghost()], "cpu", pace=500, precision=1, seconds_per_network=0.1)
    assert found.pace == 500
    assert found.conditions.before.cores
    assert measurements[0].pace is None
    with pytest.raises(ValueError, match="of one pace compare, but got 500"):
        compare(found, measurements[0])
    with pytest.raises(InputError, match="pace must be from 1fps to 1000fps, but got 0fps"):
        measure([tiny_ghost()], "cpu", pace=0)
    with pytest.raises(InputError, match="an open device has its own"):
        measure([tiny_ghost()], cpu, pace=30)


def test_what_cannot_be_told_in_the_time_is_not_called_stable(cpu):
    (found,) = measure([tiny_ghost()], cpu, precision=1e-6, seconds_per_network=0.05)
    assert not found.stable
    assert "rounds" in found.reason
    # A single round has an interval of no width, which is no precision.
    (hasty,) = measure([tiny_ghost()], cpu, precision=0.5, seconds_per_network=1e-6)
    assert hasty.rounds <= 2
    assert not hasty.stable
    assert f"only {hasty.rounds} rounds" in hasty.reason
    assert "\n" not in hasty.reason + found.reason


def test_at_the_deadline_there_is_a_result_but_no_certainty(cpu):
    (found,) = measure([tiny_ghost()], cpu, precision=1e-6, deadline=time.monotonic())
    assert found.rounds == found.sessions == 2
    assert not found.stable


def test_references_and_candidates_are_loaded_in_one_order_drawn_by_lot(monkeypatch):
    device, opened = open_device("cpu"), []
    load = device.runtime.load
    sizes = {}

    def watched(files, threads):
        opened.append(sizes.setdefault(len(files[".onnx"]), len(sizes)))
        return load(files, threads)

    monkeypatch.setattr(device.runtime, "load", watched)
    candidate = tiny_ghost()
    for seed in range(6):
        measure([candidate], device, seconds_per_network=1e-6, seed=seed)
    # Each measurement loads both twice; with the order drawn, either comes first now and then.
    assert {opened[number] for number in range(0, len(opened), 4)} == {0, 1}


def test_more_networks_than_share_rounds_keep_their_order(cpu):
    arches = [tiny_ghost().replace(head_channels=8 + number) for number in range(33)]
    shares = []
    found = measure(arches, cpu, precision=1, seconds_per_network=0.01, progress=shares.append)
    assert [each.architecture for each in found] == [arch.id for arch in arches]
    assert shares == sorted(shares)
    assert shares[-1] == 1


def test_nothing_to_measure():
    shares = []
    assert measure([], "cpu", progress=shares.append) == []
    assert shares == [1]


def test_an_unknown_device_is_refused_before_anything_is_loaded():
    with pytest.raises(UnknownNameError, match=r"unknown device 'gpu'; .*known: .*cpu"):
        measure([preset("ghostnetv2-1.0")], "gpu")


def test_measure_is_public_and_stays_so_once_used():
    assert gnv2_nas.measure([]) == gnv2_nas.measure([]) == []
