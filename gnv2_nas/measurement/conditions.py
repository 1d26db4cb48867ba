"""The state of the device before, between and after the sessions of a measurement."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

import msgspec

from gnv2_nas.devices.condition_files import read_conditions
from gnv2_nas.devices.conditions import Conditions
from gnv2_nas.devices.host import Bench
from gnv2_nas.runner.lock import Waiting

MAX_COOLING = 60.0
"""Longest time, in seconds, that one measurement waits for its device to cool down."""
COOLING_STEP = 5.0
"""Seconds between two looks at a hot device. It is waited for as long as each finds it cooler."""


class MeasuredConditions(msgspec.Struct, frozen=True, omit_defaults=True):
    """The state of the device around a measurement."""

    before: Conditions
    after: Conditions
    cooled: float = 0.0
    """Seconds that the measurement waited for the device to cool down."""
    changes: tuple[str, ...] = ()
    """What happened to the device meanwhile that makes its times unsteady, as clauses."""

    @property
    def reason(self) -> str:
        """Why the times are not those of one steady device; "" if nothing happened."""
        return "; ".join(self.changes)

    def describe(self) -> str:
        """Return what is known, such as "cores 0-3 schedutil to 1800 MHz; 48 to 61 °C"."""
        before, after = self.before, self.after
        parts = [each.describe() for each in before.clusters]
        heats = [max(each.temperatures.values()) for each in (before, after) if each.temperatures]
        if heats:
            parts.append(f"{heats[0]:.0f} to {heats[-1]:.0f} °C")
        if self.cooled:
            parts.append(f"{self.cooled:.0f} s of waiting for it to cool down")
        if before.power_mode:
            parts.append(f"power mode {before.power_mode}")
        if before.charger is not None:
            charge = "" if before.battery is None else f" {before.battery}%"
            parts.append(f"battery{charge}, {'' if before.charger else 'not '}charging")
        if before.load is not None:
            parts.append(f"load {before.load:.2f}")
        return "; ".join(parts)


class ConditionsWatch:
    """Looks at the device before each session and after the last, and waits while it is hot.

    Args:
        bench: the device.
        waiting: receives a sentence when the device is waited for.
        patience: longest time to wait in all, in seconds.
        sleep: waits some seconds.
    """

    def __init__(
        self,
        bench: Bench,
        waiting: Waiting,
        patience: float = MAX_COOLING,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._bench, self._waiting, self._sleep = bench, waiting, sleep
        self._patience = min(patience, MAX_COOLING)
        self._constant: Mapping[str, str] = {}
        self._before: Conditions | None = None
        self._reasons: dict[str, None] = {}
        self._cooled = 0.0

    def before_session(self) -> None:
        """Look at the device, and wait while it is hot."""
        now = self._cool(self.look())
        if self._before is None:
            self._before = now
        self._note(self._before, now)

    def look(self) -> Conditions:
        """Return the state of the device, and note what has changed since the first session."""
        now = self._read(thorough=self._before is None)
        if self._before is not None:
            self._note(self._before, now)
        return now

    def finish(self) -> MeasuredConditions:
        """Note what has changed, and return the state before and after."""
        after = self._read(thorough=True)
        before = self._before or after
        self._note(before, after)
        return MeasuredConditions(before, after, self._cooled, tuple(self._reasons))

    def _read(self, *, thorough: bool = False) -> Conditions:
        files = self._bench.read_files(thorough=thorough)
        if thorough:
            self._constant = files
        return read_conditions({**self._constant, **files})

    def _note(self, before: Conditions, now: Conditions) -> None:
        clauses = now.changes_since(before)
        clauses += [f"the device was slowed down ({kind})" for kind in now.throttling]
        self._reasons |= dict.fromkeys(clauses)

    def _cool(self, now: Conditions) -> Conditions:
        """Wait until the device is cool, no cooler than before, or waited for too long."""
        told = False
        while heat := now.describe_heat():
            if self._cooled + COOLING_STEP > self._patience:
                break
            if not told:
                self._waiting(f"the device is hot ({heat}); waiting for it to cool down")
                told = True
            self._sleep(COOLING_STEP)
            self._cooled += COOLING_STEP
            earlier, now = now, self._read()
            if _temperature(now) >= _temperature(earlier) and now.describe_heat():
                break
        return now


def _temperature(conditions: Conditions) -> float:
    return max(conditions.temperatures.values(), default=0.0)
