"""Which networks a latency model is fitted to, and what a kill costs: on the real runtime."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections import Counter
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest

from gnv2_nas.errors import InputError
from gnv2_nas.latency_model.file import load_device_model
from gnv2_nas.measurement import open_device
from gnv2_nas.measurement.records.record import ErrorParts
from gnv2_nas.measurement.records.reuse import find_reusable
from gnv2_nas.measurement.records.store import append_measurements, read_measurements
from gnv2_nas.space import load_space
from gnv2_nas.workflows.events import TaskProgress
from gnv2_nas.workflows.latency import (
    LatencyFitRequest,
    draw_balanced,
    fit_on_device,
)
from tests.search.spaces import SIX, SMALL, space_of, write_space

REQUEST = LatencyFitRequest("cpu", "small.yaml", networks=9, held_out=1, seconds_per_network=0.02)
KILLED = f"""
import os, signal
from gnv2_nas.measurement import open_device
from gnv2_nas.measurement.records.store import read_measurements
from gnv2_nas.workflows import latency as latency_fit

latency_fit.BATCH = 3
def observe(event):
    if len(read_measurements("cpu")) >= 3:
        os.kill(os.getpid(), signal.SIGKILL)
request = latency_fit.{REQUEST!r}
latency_fit.fit_on_device(request.check(), open_device("cpu"), observe)
"""


@pytest.fixture
def here(tmp_path, monkeypatch):
    write_space(tmp_path, SMALL)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_every_choice_comes_about_equally_often():
    space = load_space("ghostnetv2")
    found = [space.encode(arch) for arch in draw_balanced(space, 120, seed=0)]
    for gene in space.genes:
        if gene.axis == "width":
            counts = Counter(params[gene.name] for params in found)
            assert set(counts) == set(gene.choices)
            assert max(counts.values()) - min(counts.values()) <= 2


def test_more_networks_begin_with_the_same_ones():
    space = load_space("tiny")
    many = draw_balanced(space, 30, seed=5)
    assert draw_balanced(space, 10, seed=5) == many[:10]
    assert draw_balanced(space, 10, seed=6) != many[:10]
    assert len({arch.id for arch in many}) == 30


def test_a_space_of_few_networks_gives_those(tmp_path):
    assert len(draw_balanced(space_of(tmp_path, SIX), 20, seed=0)) == 6


def test_killed_it_goes_on_with_what_was_measured(here):
    root = Path(__file__).parents[2]
    program = [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(root)!r}){KILLED}"]
    killed = subprocess.run(program, cwd=here, capture_output=True, check=False, timeout=120)
    assert killed.returncode == -signal.SIGKILL
    before = read_measurements("cpu")
    assert len(before) == 3

    device, events = open_device("cpu"), []
    fit = fit_on_device(REQUEST.check(), device, events.append)
    shares = [event.share for event in events if isinstance(event, TaskProgress)]
    kept = read_measurements("cpu")
    assert kept[:3] == before
    assert Counter(each.architecture for each in kept) == Counter(
        arch.id for arch in REQUEST.check().architectures
    )
    assert (fit.model.networks, fit.model.held_out) == (9, 1)
    assert all(earlier <= later for earlier, later in pairwise(shares))
    assert shares[-1] == 1

    read, known = load_device_model(device)
    assert (fit.path, known) == (Path("profiles/cpu.latency.json"), fit.fitted_on)
    assert read.errors == fit.model.errors
    # All is measured: the same again only fits.
    again = fit_on_device(REQUEST.check(), device)
    assert len(read_measurements("cpu")) == 9
    assert again.model.errors == fit.model.errors
    _other_conditions_do_not_count(device, kept[0])


def _other_conditions_do_not_count(device, measurement):
    elsewhere = msgspec.structs.replace(measurement.fingerprint, cpu="Cortex-A76")
    narrow = {"ci95": (measurement.ms, measurement.ms), "errors": ErrorParts(calibration=0.01)}
    for change in ({"profile_hash": "int8"}, {"fingerprint": elsewhere}):
        append_measurements([msgspec.structs.replace(measurement, **narrow, **change)])
    known = find_reusable(REQUEST.check().architectures, device)
    assert len(known) == 9
    assert known[measurement.architecture] == measurement


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"networks": 8, "held_out": 1}, "at least 8 networks to be fitted to, but got 7"),
        ({"held_out": 0}, "--held-out must be 1 or more, but got 0"),
        ({"seconds_per_network": 0.0}, "--seconds-per-network must be positive, but got 0"),
        ({"device": "phone"}, "unknown device 'phone'"),
        ({"space": "phone"}, "unknown search space 'phone'"),
        ({"correct": Path("x.json")}, "--held-out does not go with --from"),
        ({"correct": Path("x.json"), "held_out": None}, "cannot read 'x.json': No such file"),
    ],
)
def test_what_cannot_be_fitted_is_refused_before_anything_is_measured(here, changes, message):
    with pytest.raises(InputError, match=message):
        msgspec.structs.replace(REQUEST, **changes).check()


def test_a_space_of_too_few_networks_is_refused(here):
    write_space(here, SIX, "six")
    with pytest.raises(InputError, match="at least 8 networks"):
        msgspec.structs.replace(REQUEST, space="six.yaml").check()
