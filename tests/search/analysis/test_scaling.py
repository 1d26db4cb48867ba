"""Stock networks scaled to the budgets: as wide as these allow, and at the limit of a latency."""

from __future__ import annotations

import math

import pytest
from msgspec.structs import replace

from gnv2_nas.arch.presets import FIRST_OF_FAMILIES, STOCK, preset, scale_preset
from gnv2_nas.graph import count
from gnv2_nas.search.analysis.baselines import label_stock, preset_name
from gnv2_nas.search.analysis.rivals import find_rivals
from gnv2_nas.search.analysis.scaling import (
    EXPONENT,
    MAX_TRIES,
    list_missing_stock,
    list_scaled,
)
from gnv2_nas.search.study.budgets import keeps_budgets, parse_budgets, parse_limits
from gnv2_nas.search.study.records import Trial
from gnv2_nas.search.study.settings import Settings, StudyDevice
from gnv2_nas.space import load_space
from tests.report.studies import candidate, measurement, study
from tests.search.simulated import simulated
from tests.search.study_helpers import SETTINGS

SPACE = load_space("tiny")


def asked(*budgets: str) -> Settings:
    return replace(SETTINGS, budgets=parse_budgets(budgets), limits=parse_limits(budgets))


def read(label: str) -> tuple[str, float]:
    """The preset and the width of a label."""
    name, *scaled = label.split()
    return name, float(scaled[0].removeprefix("×"))


@pytest.mark.parametrize("budgets", [("4MFLOPs",), ("1Mparams",), ("9MFLOPs", "2Mparams")])
def test_each_is_as_wide_as_the_budgets_allow(budgets: tuple[str, ...]) -> None:
    settings = asked(*budgets)
    found = list_scaled(SPACE, settings, [])
    assert {preset_name(label) for label in found} == set(FIRST_OF_FAMILIES)
    for label, arch in found.items():
        assert keeps_budgets(settings.budgets, count(arch))
        assert arch.num_classes == SPACE.num_classes
        assert arch.resolution in SPACE.resolutions
        name, width = read(label)
        assert label == label_stock(name, arch.resolution, width)
        wider = scale_preset(name, width + 0.01)
        wider = wider.replace(resolution=arch.resolution, num_classes=arch.num_classes)
        assert not keeps_budgets(settings.budgets, count(wider))


def test_of_the_resolutions_those_near_the_published_width_are_taken() -> None:
    found = list_scaled(SPACE, asked("4MFLOPs"), [])
    sides = [arch.resolution for label, arch in found.items() if label.startswith("ghostnetv2")]
    # At 64 pixels, less than half of the channels would be left.
    assert sides == [32, 48]


def test_each_limit_of_a_list_has_one_resolution() -> None:
    found = list_scaled(SPACE, asked("4MFLOPs,8MFLOPs"), [])
    assert len(found) == 2 * len(FIRST_OF_FAMILIES)


def test_without_budgets_nothing_is_scaled() -> None:
    assert list_scaled(SPACE, asked(), []) == {}


def test_the_network_that_ratios_refer_to_is_first_and_nothing_is_listed_twice() -> None:
    settings = asked("300MFLOPs")
    space = load_space("ghostnetv2")
    labels = list(list_missing_stock(space, settings, []))
    assert labels[0] == "ghostnetv2-1.0"
    assert set(labels[1:5]) == set(list_scaled(space, settings, []))
    assert set(labels) >= set(STOCK)
    known = [
        candidate(number, arch, baseline=label)
        for number, (label, arch) in enumerate(list_missing_stock(space, settings, []).items())
    ]
    assert list_missing_stock(space, settings, known) == {}
    # GhostNetV2 at width 1.3 is a published network already.
    assert "ghostnetv2-1.0 ×1.3" not in list_missing_stock(space, asked("270MFLOPs"), [])


def machine(arch, number: int) -> float:
    """A latency that steps with the width, as real ones do; the reference takes 7.3 ms."""
    steps = 1 + 0.03 * math.sin(37 * number)
    macs = count(arch).macs / count(preset("ghostnetv2-1.0")).macs
    return steps * macs**0.7 * {"ghostnetv2": 1.0}.get(arch.family, 0.7)


def search(space, settings: Settings) -> list[Trial]:
    """The stock networks of a search, measured one batch after another."""
    trials: list[Trial] = []
    while missing := list_missing_stock(space, settings, trials):
        for label, arch in missing.items():
            trial = candidate(
                len(trials), arch, quality=None, baseline=label, ratio=machine(arch, len(trials))
            )
            trials.append(replace(trial, budgets=settings.budgets))
    return trials


def test_a_latency_limit_is_used_up_after_few_measurements() -> None:
    space, settings = load_space("ghostnetv2"), asked("5ms")
    trials = search(space, settings)
    scaled = [each for each in trials if each.baseline not in STOCK]
    for name in FIRST_OF_FAMILIES:
        family = [each for each in scaled if preset_name(each.baseline) == name]
        assert 1 <= len(family) <= MAX_TRIES
        kept = [each for each in family if each.feasible]
        assert max(each.value("latency") for each in kept) > 0.9 * 5
    record = replace(study(trials), settings=settings)
    assert {each.architecture.family for each in find_rivals(record)} == {
        "ghostnet", "ghostnetv2", "mobilenetv3", "repghostnet",
    }  # fmt: skip
    # Going on measures nothing else.
    assert list_missing_stock(space, settings, trials) == {}


def test_on_several_devices_the_slowest_decides_and_each_has_its_own() -> None:
    budgets = parse_budgets(["7.3ms"], ["cpu", "pi5"])
    devices = (StudyDevice("cpu"), StudyDevice("pi5"))
    settings = replace(
        SETTINGS, budgets=budgets, devices=devices, objectives=("quality", "latency-ratio")
    )
    arch = preset("ghostnetv2-1.0")
    latencies = {
        name: replace(measurement(arch, ratio), device=name)
        for name, ratio in (("cpu", 0.5), ("pi5", 2.0))
    }
    stock = replace(candidate(0, arch, baseline="ghostnetv2-1.0"), latencies=latencies)
    found = list_scaled(load_space("ghostnetv2"), settings, [stock])
    sizes = sorted(count(each).macs for each in found.values() if each.family == "ghostnetv2")
    macs = count(arch).macs
    # Half of the time, and twice the time, by the power of `EXPONENT`. Channels come in fours.
    expected = [macs * factor ** (1 / EXPONENT) for factor in (0.5, 2.0)]
    assert sizes == pytest.approx(expected, rel=0.1)


def test_what_was_not_measured_predicts_nothing() -> None:
    space, settings = load_space("ghostnetv2"), asked("5ms")
    unmeasured = candidate(0, preset("ghostnetv2-1.0"), ratio=None, baseline="ghostnetv2-1.0")
    assert list_scaled(space, settings, [unmeasured]) == {}


@pytest.mark.parametrize("budgets", [("0.5MFLOPs",), ("1ms",)])
def test_a_search_evaluates_scaled_networks_within_the_budgets(small, budgets) -> None:
    ended = simulated(small, 0, budgets=budgets, trials=4)
    scaled = [each for each in ended.loop.trials.values() if "×" in each.baseline]
    families = {each.architecture.family for each in scaled}
    assert {"ghostnet", "ghostnetv2", "repghostnet"} <= families
    assert all(each.origin == "stock" and each.latency is not None for each in scaled)
    assert ended.found.stock in scaled
