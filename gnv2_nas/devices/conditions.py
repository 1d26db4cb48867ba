"""The state of a device that affects latencies, and what a change of it means."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from gnv2_nas.cores import format_cores, parse_cores

MIN_FALL = 0.99
"""Frequency limits are rounded; a smaller fall than this share is none."""


class Cluster(msgspec.Struct, frozen=True, omit_defaults=True):
    """Cores of one governor and one frequency range."""

    cores: str
    """As the kernel writes them: "0-3,6"."""
    governor: str = ""
    mhz: int | None = None
    """Frequency of the fastest of them when it was read."""
    limit_mhz: int | None = None
    """Highest frequency that is allowed now."""
    max_mhz: int | None = None
    """Highest frequency of the hardware."""

    def describe(self) -> str:
        """Return "cores 0-3 schedutil to 1800 MHz"."""
        limit = "" if self.limit_mhz is None else f" to {self.limit_mhz} MHz"
        return f"cores {self.cores} {self.governor or 'of an unknown governor'}{limit}"


class Conditions(msgspec.Struct, frozen=True, omit_defaults=True):
    """The state of a device at one moment; what it does not tell is empty or None."""

    cores: str = ""
    """Cores that the measuring thread may run on."""
    clusters: tuple[Cluster, ...] = ()
    temperatures: dict[str, float] = {}
    """Thermal zone → °C, the hottest first."""
    hot: tuple[str, ...] = ()
    """Zones that are near the temperature at which the device slows down."""
    throttling: tuple[str, ...] = ()
    """How the device is slowed down at this moment."""
    throttled: dict[str, int] = {}
    """Kind of slowdown → how often it happened since the device started."""
    power_mode: str = ""
    """Power mode of a Jetson."""
    charger: bool | None = None
    """Whether a charger supplies the device; None without a battery."""
    battery: int | None = None
    """Charge in per cent."""
    load: float | None = None
    """One-minute load average."""
    free_mib: int | None = None

    def describe_heat(self) -> str:
        """Return why the device should cool down first; "" if it need not."""
        near = [f"{zone} at {self.temperatures[zone]:.0f} °C" for zone in self.hot]
        return ", ".join([*self.throttling, *near])

    def changes_since(self, before: Conditions) -> list[str]:
        """Return what changed that makes times before and after different, as clauses."""
        return [
            *_cores_taken(before, self),
            *_cluster_changes(before, self),
            *(
                f"the device was slowed down ({kind})"
                for kind, times in self.throttled.items()
                if times > before.throttled.get(kind, 0)
            ),
            *_other_changes(before, self),
        ]


def _cores_taken(before: Conditions, now: Conditions) -> Iterator[str]:
    taken = parse_cores(before.cores) - parse_cores(now.cores)
    if taken and now.cores:
        yield f"the process lost {_name(taken)}"


def _cluster_changes(before: Conditions, now: Conditions) -> Iterator[str]:
    """Yield changes of governors and limits, one for each pair of clusters that share cores."""
    for old in before.clusters:
        for new in now.clusters:
            shared = parse_cores(old.cores) & parse_cores(new.cores)
            if not shared:
                continue
            cores = _name(shared)
            if new.governor != old.governor:
                yield f"the governor of {cores} changed from {old.governor} to {new.governor}"
            if old.limit_mhz and new.limit_mhz and new.limit_mhz < MIN_FALL * old.limit_mhz:
                yield (
                    f"the frequency limit of {cores} fell from {old.limit_mhz} to "
                    f"{new.limit_mhz} MHz"
                )


def _other_changes(before: Conditions, now: Conditions) -> Iterator[str]:
    if before.power_mode and now.power_mode and now.power_mode != before.power_mode:
        yield f"the power mode changed from {before.power_mode} to {now.power_mode}"
    if None not in (before.charger, now.charger) and before.charger != now.charger:
        yield "the charger was connected" if now.charger else "the charger was disconnected"


def _name(cores: set[int]) -> str:
    return f"core{'s' * (len(cores) > 1)} {format_cores(cores)}"
