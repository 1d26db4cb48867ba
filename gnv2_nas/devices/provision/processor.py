"""The cores of a device: their models, frequencies, and clusters of equal cores."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import msgspec

from gnv2_nas.cores import parse_cores

CLUSTER_STEP = 0.9
"""Cores of one model whose maximum frequencies are at least this close, as a ratio, are one
cluster: many processors let one or two of their equal cores run a few per cent faster."""

# Arm's own cores, and Apple's and Qualcomm's that run Linux: implementer and part of /proc/cpuinfo.
_PARTS = {
    "0x41 0xc07": "Cortex-A7", "0x41 0xc09": "Cortex-A9", "0x41 0xc0f": "Cortex-A15",
    "0x41 0xd03": "Cortex-A53", "0x41 0xd04": "Cortex-A35", "0x41 0xd05": "Cortex-A55",
    "0x41 0xd07": "Cortex-A57", "0x41 0xd08": "Cortex-A72", "0x41 0xd09": "Cortex-A73",
    "0x41 0xd0a": "Cortex-A75", "0x41 0xd0b": "Cortex-A76", "0x41 0xd0c": "Neoverse-N1",
    "0x41 0xd0d": "Cortex-A77", "0x41 0xd40": "Neoverse-V1", "0x41 0xd41": "Cortex-A78",
    "0x41 0xd42": "Cortex-A78AE", "0x41 0xd44": "Cortex-X1", "0x41 0xd46": "Cortex-A510",
    "0x41 0xd47": "Cortex-A710", "0x41 0xd48": "Cortex-X2", "0x41 0xd49": "Neoverse-N2",
    "0x41 0xd4b": "Cortex-A78C", "0x41 0xd4d": "Cortex-A715", "0x41 0xd4e": "Cortex-X3",
    "0x41 0xd4f": "Neoverse-V2", "0x41 0xd80": "Cortex-A520", "0x41 0xd81": "Cortex-A720",
    "0x41 0xd82": "Cortex-X4", "0x41 0xd85": "Cortex-X925", "0x41 0xd87": "Cortex-A725",
    "0x4e 0x003": "Denver 2", "0x4e 0x004": "Carmel", "0x51 0x001": "Oryon",
    "0x51 0x800": "Kryo 2xx Gold", "0x51 0x801": "Kryo 2xx Silver",
    "0x51 0x802": "Kryo 3xx Gold", "0x51 0x803": "Kryo 3xx Silver",
    "0x51 0x804": "Kryo 4xx Gold", "0x51 0x805": "Kryo 4xx Silver",
}  # fmt: skip


class Core(msgspec.Struct, frozen=True):
    """One processor core."""

    number: int
    model: str
    max_mhz: int = 0
    """0 if the device does not tell, as in a virtual machine."""
    capacity: int = 0
    """Speed relative to the fastest core, which has 1024; 0 if the device does not tell."""
    governor: str = ""
    allowed: bool = True
    """Whether our process may run on it."""


class Cluster(msgspec.Struct, frozen=True):
    """Cores of one speed."""

    cores: tuple[Core, ...]

    @property
    def numbers(self) -> tuple[int, ...]:
        return tuple(core.number for core in self.cores)

    def describe(self) -> str:
        """Return "4 × Cortex-A76 at 2.40 GHz"."""
        mhz = max(core.max_mhz for core in self.cores)
        return f"{len(self.cores)} × {self.cores[0].model}" + (
            f" at {mhz / 1000:.2f} GHz" if mhz else ""
        )


def read_cores(cpuinfo: Sequence[str], cores: Sequence[str], allowed: str) -> tuple[Core, ...]:
    """Return the cores of a device in order of their numbers.

    Args:
        cpuinfo: lines of /proc/cpuinfo.
        cores: "NUMBER KILOHERTZ CAPACITY GOVERNOR", "-" for what is not known.
        allowed: the line Cpus_allowed_list of /proc/self/status.
    """
    models = _read_models(cpuinfo)
    usable = parse_cores(allowed.partition(":")[2])
    rest = next(iter(models.values()), "core")
    found = {}
    for line in cores:
        if match := re.fullmatch(r"(\d+) (\d+|-) (\d+|-) (\S+)", line):
            number = int(match[1])
            khz, capacity = (0 if each == "-" else int(each) for each in match.group(2, 3))
            found[number] = Core(
                number,
                models.get(number, rest),
                khz // 1000,
                capacity,
                "" if match[4] == "-" else match[4],
                not usable or number in usable,
            )
    for number in models if not found else ():
        found[number] = Core(number, models[number], allowed=not usable or number in usable)
    return tuple(found[number] for number in sorted(found))


def find_clusters(cores: Sequence[Core]) -> list[Cluster]:
    """Return the clusters of a processor, the fastest first.

    Cores of different models, capacities or clearly different frequencies are of two clusters.
    """
    ordered = sorted(
        cores, key=lambda core: (-core.capacity, -core.max_mhz, core.model, core.number)
    )
    clusters: list[list[Core]] = []
    for core in ordered:
        if not clusters or not _alike(clusters[-1][0], core):
            clusters.append([])
        clusters[-1].append(core)
    return [Cluster(tuple(sorted(cluster, key=lambda core: core.number))) for cluster in clusters]


def choose_cores(cores: Sequence[Core], threads: int) -> tuple[int, ...]:
    """Return the cores that a network of so many threads should run on; () for any.

    They are those of the fastest cluster that we may use. A cluster that has too few cores for the
    threads is joined by the next. A processor of equal cores needs no choice.
    """
    clusters = find_clusters([core for core in cores if core.allowed])
    chosen: list[int] = []
    for cluster in clusters:
        if len(chosen) < threads:
            chosen += cluster.numbers
    return tuple(sorted(chosen)) if len(clusters) > 1 else ()


def describe_cores(cores: Sequence[Core]) -> str:
    """Return "4 × Cortex-A76 at 2.40 GHz + 4 × Cortex-A55 at 1.80 GHz"."""
    return " + ".join(cluster.describe() for cluster in find_clusters(cores))


def _alike(one: Core, other: Core) -> bool:
    # Firmware gives equal cores slightly different capacities, as it does frequencies.
    return (
        one.model == other.model
        and other.capacity >= CLUSTER_STEP * one.capacity
        and other.max_mhz >= CLUSTER_STEP * one.max_mhz
    )


def _read_models(cpuinfo: Sequence[str]) -> Mapping[int, str]:
    partitioned = (line.partition(":") for line in cpuinfo)
    pairs = [(name.strip(), value.strip()) for name, _, value in partitioned]
    models: dict[int, dict[str, str]] = {}
    number = -1
    for name, value in pairs:
        if name == "processor" and value.isdecimal():
            number = int(value)
        models.setdefault(number, {})[name] = value
    board = next((value for name, value in pairs if name == "Hardware"), "core")
    return {number: _name_model(facts, board) for number, facts in models.items() if number >= 0}


def _name_model(facts: Mapping[str, str], board: str) -> str:
    part = f"{facts.get('CPU implementer')} {facts.get('CPU part')}"
    if "CPU part" in facts:
        return _PARTS.get(part, f"Arm core {part}")
    name = re.sub(r"\(R\)|\(TM\)| CPU|@.*", "", facts.get("model name", board))
    return " ".join(name.split())
