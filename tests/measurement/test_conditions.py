"""A device that changes or is hot while it is measured."""

from __future__ import annotations

import random

from gnv2_nas.measurement.conditions import ConditionsWatch
from gnv2_nas.measurement.plan import MeasurementPlan, collect
from tests.devices.machines import CPU, PHONE, POWER, RASPBERRY_PI_4, THERMAL, THROTTLED

CONSTANT = ("type", "related_cpus", "cpuinfo_max_freq")
ZONE = f"{THERMAL}/thermal_zone1/temp"


class Machine:
    """A bench whose files change: one entry of `changes` at each look at it."""

    def __init__(self, files, *changes):
        self.files, self.changes, self.thorough, self.sessions = dict(files), list(changes), [], 0

    def read_files(self, *, thorough):
        self.thorough.append(thorough)
        if self.changes:
            self.files |= self.changes.pop(0)
        return {
            path: text for path, text in self.files.items()
            if thorough or not path.endswith(CONSTANT)
        }  # fmt: skip

    def run_session(self, order, report):
        self.sessions += 1
        for sequence in order.rounds:
            report([(1e-3,) * 4] * len(sequence))


def watch(machine, sessions=3, **how):
    """What a measurement notices: reason, conditions, sentences, seconds slept."""
    told, slept = [], []
    found = ConditionsWatch(machine, told.append, sleep=slept.append, **how)
    plan = MeasurementPlan(sessions=sessions, rounds=1, max_sessions=sessions)
    collect(
        machine, 1, plan, random.Random(0), lambda _: False, before_session=found.before_session
    )
    conditions = found.finish()
    return conditions, conditions.reason, told, slept


def cool(machine):
    return {**machine, ZONE: "60000"}


def test_a_steady_device_is_looked_at_around_every_session():
    machine = Machine(cool(PHONE))
    conditions, reason, told, slept = watch(machine)
    assert machine.thorough == [True, False, False, True]
    assert conditions.before == conditions.after
    assert conditions.before.clusters[1].max_mhz == 2419
    assert (reason, told, slept, conditions.cooled) == ("", [], [], 0)


def test_a_change_is_noticed_even_when_it_is_undone():
    limit, governor = (f"{CPU}/cpufreq/policy4/scaling_{name}" for name in ("max_freq", "governor"))
    machine = Machine(
        cool(PHONE), {}, {limit: "1200000"}, {limit: "2419200"}, {governor: "powersave"}
    )
    conditions, reason, _, _ = watch(machine)
    assert reason == (
        "the frequency limit of cores 4-6 fell from 2419 to 1200 MHz; "
        "the governor of cores 4-6 changed from walt to powersave"
    )
    assert conditions.after.clusters[1].governor == "powersave"
    _, reason, _, _ = watch(
        Machine(cool(PHONE), {}, {f"{POWER}/battery/status": "Discharging"}), sessions=1
    )
    assert reason == "the charger was disconnected"


def test_a_hot_device_is_waited_for_before_the_first_session():
    machine = Machine(PHONE, {}, {ZONE: "91000"}, {ZONE: "89900"})
    conditions, reason, told, slept = watch(machine, sessions=1)
    assert told == ["the device is hot (cpu-1-7 at 93 °C); waiting for it to cool down"]
    assert slept == [5, 5]
    assert conditions.cooled == 10
    assert conditions.before.temperatures["cpu-1-7"] == 89.9
    # A temperature alone changes no times.
    assert reason == ""


def test_waiting_ends_when_it_helps_no_more_or_lasts_too_long():
    assert watch(Machine(PHONE), sessions=1)[3] == [5]
    falling = [{ZONE: str(94_900 - 100 * look)} for look in range(30)]
    assert len(watch(Machine(PHONE, *falling))[3]) == 12
    assert watch(Machine(PHONE, *falling), patience=12.0)[3] == [5, 5]
    assert watch(Machine(PHONE), patience=-1.0)[2:] == ([], [])


def test_what_was_measured_while_the_device_was_slowed_down_is_marked():
    temp = f"{THERMAL}/thermal_zone0/temp"
    now, cooler = {THROTTLED: "e0008", temp: "84000"}, {THROTTLED: "e0000", temp: "70000"}
    machine = Machine(RASPBERRY_PI_4, {THROTTLED: "e0000"}, now, cooler)
    _, reason, told, slept = watch(machine, sessions=2)
    assert reason == "the device was slowed down (soft temperature limit)"
    assert (len(told), slept) == (1, [5])
    # What happened before the measurement is not held against it.
    machine = Machine(RASPBERRY_PI_4, now, cooler)
    assert watch(machine)[1] == ""
