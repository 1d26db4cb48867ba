"""Studies of real networks with made-up, repeatable measurements."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from functools import cache

from msgspec.structs import replace

from gnv2_nas.arch import DFC, Architecture, GhostModule, preset
from gnv2_nas.arch.presets import STOCK, ghostnet
from gnv2_nas.devices.fingerprint import Fingerprint
from gnv2_nas.graph import Counts, count
from gnv2_nas.measurement.records.record import ErrorParts, Measurement
from gnv2_nas.search.analysis.recommendation import recommend
from gnv2_nas.search.study.budgets import Budget, parse_budgets, parse_limits
from gnv2_nas.search.study.records import (
    Origin,
    Prediction,
    Progress,
    Provenance,
    StudyRecord,
    Trial,
)
from gnv2_nas.search.study.settings import Settings, StudyDevice
from gnv2_nas.space import Value

STOCK_MS = 7.3
MACHINE = Fingerprint(
    cpu="Imaginary Core 5", cores=4, memory_gib=15.6, system="Linux 6.1", python="3.11.7",
    runtime="onnxruntime 1.31.0", governor="performance", load=0.4,
)  # fmt: skip


@cache
def found_architecture(seed: int) -> Architecture:
    """A network near GhostNetV2, the same for the same seed."""
    rng = random.Random(seed)
    stock = ghostnet(rng.choice([0.6, 0.8, 1.0, 1.2, 1.4]), dfc=False)
    blocks = []
    for block in stock.blocks:
        kernel = rng.choice([3, 5, 7, 9])
        dfc = DFC(kernel_h=kernel, kernel_w=kernel, factor=rng.choice([1, 2]))
        blocks.append(
            replace(
                block,
                hidden_channels=block.hidden_channels * rng.choice([3, 4, 5]) // 4,
                ghost1=GhostModule(dfc=dfc if rng.random() < 0.7 else None),
            )
        )
    return stock.replace(blocks=tuple(blocks))


@cache
def counted(arch: Architecture) -> Counts:
    return count(arch)


def measurement(
    arch: Architecture, ratio: float, *, half_width: float = 0.012, reason: str = ""
) -> Measurement:
    low, high = ratio * (1 - half_width), ratio * (1 + half_width)
    return Measurement(
        architecture=arch.id, device="cpu", runtime="onnxruntime", threads=1, precision="fp32",
        ms=ratio * STOCK_MS, ci95=(low * STOCK_MS, high * STOCK_MS), ratio=ratio,
        ratio_ci95=(low, high), stable=not reason, reason=reason, clock="cpu",
        raw_ms=ratio * STOCK_MS * 1.04, rounds=64, taken_at="2026-01-31T12:00:00+00:00",
        fingerprint=MACHINE,
    )  # fmt: skip


def loosest(budgets: Sequence[str]) -> tuple[Budget, ...]:
    """Budgets in the order given, even two of one metric."""
    return tuple(budget for text in budgets for budget in parse_budgets([text]))


def candidate(
    number: int,
    arch: Architecture,
    *,
    quality: float | None = 90.0,
    ratio: float | None = 1.0,
    half_width: float = 0.012,
    baseline: str = "",
    reason: str = "",
    budgets: Sequence[str] = (),
) -> Trial:
    """A network with these values; broken ones of `budgets` make it infeasible."""
    counts = counted(arch)
    latencies = {}
    if ratio is not None:
        latencies["cpu"] = measurement(arch, ratio, half_width=half_width, reason=reason)
    return Trial(
        number=number, architecture=arch, params={} if baseline else {"width": number % 5},
        baseline=baseline, counts=counts, quality=quality, latencies=latencies,
        budgets=loosest(budgets),
    )  # fmt: skip


def network(number: int, quality: float | None, ratio: float, **changes: object) -> Trial:
    """A network that a search found."""
    arch = found_architecture(number)
    return candidate(number, arch, quality=quality, ratio=ratio, **changes)  # type: ignore[arg-type]


def stock(quality: float = 92.0, **changes: object) -> Trial:
    """Stock GhostNetV2 1.0 as a baseline: trial 0."""
    name = "ghostnetv2-1.0"
    return candidate(0, preset(name), quality=quality, baseline=name, **changes)  # type: ignore[arg-type]


def study(
    candidates: Sequence[Trial],
    *,
    name: str = "demo",
    objectives: tuple[str, ...] = ("quality", "latency"),
    budgets: Sequence[str] = ("300MFLOPs",),
    quality: str = "zen",
) -> StudyRecord:
    settings = Settings(
        "ghostnetv2", "0f3a9c1d2b", (StudyDevice("cpu"),), quality, objectives, loosest(budgets),
        limits=parse_limits(budgets),
    )  # fmt: skip
    return StudyRecord(
        name=name,
        settings=settings,
        trials=tuple(candidates),
        provenance=Provenance(
            sampler="nsga2",
            seed=0,
            command="gnv2-nas search --budget 300MFLOPs --seed 0",
            created_at="2026-01-31T11:52:00+00:00",
        ),
        progress=Progress(len(candidates) * 2, len(candidates) // 2, len(candidates) // 10),
        fingerprints={"cpu": MACHINE},
    )


def typical(found: int, *, seed: int = 1, networks: int = 400, **changes: object) -> StudyRecord:
    """A study as a search leaves it: all stock networks, then `found` others.

    At most `networks` different architectures: a large study need not take long to make.
    """
    rng = random.Random(seed)
    budgets = changes.get("budgets", ("300MFLOPs",))
    architectures = [(name, preset(name)) for name in STOCK]
    architectures += [("", found_architecture(number % networks)) for number in range(found)]
    candidates = []
    for number, (baseline, arch) in enumerate(architectures):
        counts = counted(arch)
        ratio = 0.25 + 0.75 * (counts.macs / 167e6) ** 0.8 * math.exp(rng.gauss(0, 0.07))
        score = 60 + 18 * math.log(counts.params / 1e6) + rng.gauss(0, 2.5)
        if baseline == "ghostnetv2-1.0":
            ratio = 1.001
        unstable = rng.random() < 0.05
        made = candidate(
            number, arch, quality=score, ratio=ratio, baseline=baseline,
            half_width=0.05 if unstable else rng.uniform(0.006, 0.012),
            reason="interval ±5.0% after 64 rounds, ±1.0% asked for" if unstable else "",
            budgets=budgets,  # type: ignore[arg-type]
        )  # fmt: skip
        candidates.append(made)
    return study(candidates, **changes)  # type: ignore[arg-type]


def searched(found: int = 120, *, design: int = 24, **changes: object) -> StudyRecord:
    """`typical` as a search on models leaves it: origins, predictions, changes to the knee."""
    record = typical(found, **changes)
    rng, candidates = random.Random(2), []
    for place, one in enumerate(record.trials):
        found_before = place - sum(bool(other.baseline) for other in record.trials[:place])
        origin: Origin = "model"
        if one.baseline or found_before < design:
            origin = "stock" if one.baseline else "random"
        # The networks of the models are better than those of the design.
        better = 1.0 if one.baseline else 0.9 - 0.15 * min(found_before / found, 1)
        if origin != "model":
            better = 1.0
        latency = one.latency
        assert latency is not None
        assert one.quality is not None
        latency = measurement(
            one.architecture, latency.ratio * better, reason=latency.reason,
            half_width=0.05 if latency.reason else 0.01,
        )  # fmt: skip
        predicted = {
            "latency": Prediction(latency.ms * math.exp(rng.gauss(0, 0.04)), 0.04 * latency.ms),
            "quality": Prediction(one.quality + rng.gauss(0, 1.5), 1.5),
        }
        changed = replace(one.with_latency(latency), origin=origin)
        candidates.append(replace(changed, predicted=predicted) if origin == "model" else changed)
    record = replace(
        record, trials=tuple(candidates), provenance=replace(record.provenance, sampler="predictor")
    )
    return with_changes(record)


_CHANGES: tuple[tuple[dict[str, Value], float, float], ...] = (
    ({"placement.block6": "none", "placement.block7": "none"}, 0.86, -0.9),
    ({"expansion.block12": 3}, 0.95, -0.21),
    ({"dfc_kernel_h.stage3": 7}, 1.003, 0.05),
    ({"width": 1.15}, 1.14, 3.2),
)
"""Values of a change, its latency as a share of the recommended network's, the score it brings."""
_GENOTYPE: dict[str, Value] = {
    "width": 1.0, "expansion.block12": 4, "dfc_kernel_h.stage3": 5,
    "placement.block6": "both", "placement.block7": "first",
}  # fmt: skip


def with_changes(record: StudyRecord) -> StudyRecord:
    """`record` and four networks that are one change to its knee, measured in its rounds."""
    base = recommend(record).recommended
    assert base is not None
    assert base.quality is not None
    errors = ErrorParts(own=0.002, own_sessions=0.003, panel=0.01)

    def shared(one: Trial) -> Trial:
        assert one.latency is not None
        return one.with_latency(replace(one.latency, errors=errors, batch="last"))

    number, candidates = len(record.trials), []
    for n, (values, share, brings) in enumerate(_CHANGES):
        assert base.latency is not None
        made = candidate(
            number + n, found_architecture(10_000 + n), quality=base.quality + brings,
            ratio=base.latency.ratio * share, half_width=0.01,
        )  # fmt: skip
        candidates.append(
            replace(shared(made), origin="change", params={**_GENOTYPE, **values}, budgets=())
        )
    old = [shared(replace(one, params=_GENOTYPE)) if one is base else one for one in record.trials]
    return replace(record, trials=(*old, *candidates))


def on_devices(record: StudyRecord, speeds: Mapping[str, float]) -> StudyRecord:
    """`record` as a search on several devices leaves it.

    Args:
        speeds: label of a device → exponent of the ratio there: 1 ranks networks as `record` does,
            and less leaves more to chance.
    """
    trials, rng = [], random.Random(3)
    for one in record.trials:
        assert one.latency is not None
        latencies = {}
        for label, exponent in speeds.items():
            chance = 0.0 if one.baseline == "ghostnetv2-1.0" else rng.gauss(0, 0.4 * (1 - exponent))
            ratio = one.latency.ratio**exponent * math.exp(chance)
            made = measurement(one.architecture, ratio, half_width=0.01)
            latencies[label] = replace(made, device=label, batch=one.latency.batch)
        trials.append(replace(one, latencies=latencies, predicted={}))
    objectives = tuple(
        "latency-ratio" if each == "latency" else each for each in record.settings.objectives
    )
    settings = replace(
        record.settings, devices=tuple(map(StudyDevice, speeds)), objectives=objectives
    )
    return replace(
        record,
        trials=tuple(trials),
        settings=settings,
        fingerprints=dict.fromkeys(speeds, MACHINE),
        confirmed_on=dict.fromkeys(speeds, frozenset()),
    )
