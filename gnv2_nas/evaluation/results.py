"""What an evaluation found: each network's accuracy, latency and memory, and the verdicts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from gnv2_nas.arch import Architecture
from gnv2_nas.evaluation.entrants import Entrant, Role
from gnv2_nas.graph import count
from gnv2_nas.measurement.records.record import MIN_ROUNDS, Measurement, compare
from gnv2_nas.stats.trainings import Answers, Estimate, estimate_accuracy, estimate_gain

Outcome = Literal["better", "worse", "inconclusive"]
"""Of the pick against a rival, in one respect: inconclusive where the 95 % interval of the
difference includes no difference."""

VERDICTS: Mapping[tuple[Outcome, Outcome], str] = {
    ("better", "better"): "better on both",
    ("better", "inconclusive"): "more accurate; latency inconclusive",
    ("better", "worse"): "more accurate, but slower",
    ("inconclusive", "better"): "faster; accuracy inconclusive",
    ("inconclusive", "inconclusive"): "inconclusive on both",
    ("inconclusive", "worse"): "slower; accuracy inconclusive",
    ("worse", "better"): "faster, but less accurate",
    ("worse", "inconclusive"): "less accurate; latency inconclusive",
    ("worse", "worse"): "worse on both",
}
"""Outcomes in accuracy and latency → what the pick is, compared with the rival."""


class Verdict(msgspec.Struct, frozen=True):
    """The pick against one rival on one device."""

    gain: Estimate
    """Accuracy of the pick minus that of the rival, 0 to 1, paired by image."""
    ratio: Estimate
    """Latency of the pick over that of the rival, from the same rounds."""
    accuracy: Outcome
    latency: Outcome

    @property
    def text(self) -> str:
        """What the pick is, compared with the rival."""
        return VERDICTS[self.accuracy, self.latency]


class Result(msgspec.Struct, frozen=True):
    """A network on one device."""

    label: str
    role: Role
    architecture: Architecture
    broken: tuple[str, ...]
    """Budgets that it breaks."""
    accuracy: Estimate
    """Of its file on the held-out images, 0 to 1, over seeds and images."""
    of_seeds: tuple[float, ...]
    """Accuracy of the file of each training."""
    latency: Measurement
    peak_memory: int | None
    """Bytes while it runs; None if it was not measured."""
    verdict: Verdict | None = None
    """The pick against it; None for the pick."""

    def to_json(self) -> dict[str, Any]:
        """Return the numbers for scripts."""
        counts = count(self.architecture)
        row = msgspec.structs.asdict(self)
        known = {"macs": counts.macs, "params": counts.params, "memory_bytes": counts.memory_bytes}
        verdict = None
        if self.verdict is not None:
            verdict = {**msgspec.structs.asdict(self.verdict), "pick_is": self.verdict.text}
        return {**row, **known, "verdict": verdict}


class Table(msgspec.Struct, frozen=True):
    """A pick and its rivals on one device."""

    view: str
    device: str
    runtime: str
    """Name, version and precision."""
    cpu: str
    results: tuple[Result, ...]
    """The pick first."""
    has_budgets: bool = False

    @property
    def pick(self) -> Result:
        return self.results[0]

    @property
    def rivals(self) -> tuple[Result, ...]:
        return self.results[1:]

    @property
    def best_stock(self) -> Result | None:
        """The most accurate stock network within the budgets, or of all if none keeps them."""
        stock = [each for each in self.rivals if each.role == "stock"]
        within = [each for each in stock if not each.broken]
        return max(within or stock, key=lambda each: each.accuracy.value, default=None)


class Evaluation(msgspec.Struct, frozen=True):
    """The picks of a study beside their rivals."""

    study: str
    data: str
    data_hash: str
    train_images: int
    held_out_images: int
    seeds: int
    training: str
    """Recipe and length of the trainings."""
    tables: tuple[Table, ...] = ()
    left_out: tuple[str, ...] = ()
    """Networks that could not be trained, and why."""
    cautions: tuple[str, ...] = ()
    taken_at: str = ""
    """ISO 8601, UTC."""
    software: str = ""
    weights: str = ""
    """File of the first pick's first training."""

    def to_json(self) -> dict[str, Any]:
        """Return the evaluation for scripts."""
        tables = [
            {
                "view": table.view, "device": table.device, "runtime": table.runtime,
                "pick": table.pick.label, "results": [each.to_json() for each in table.results],
            }
            for table in self.tables
        ]  # fmt: skip
        return {**msgspec.structs.asdict(self), "tables": tables}


class Measured(msgspec.Struct, frozen=True):
    """What is known of an entrant on a device."""

    answers: Answers
    """(seeds, images), see `stats.trainings`."""
    latency: Measurement
    peak_memory: int | None = None


def make_result(entrant: Entrant, known: Measured, pick: Measured | None) -> Result:
    """Return the result of an entrant, with the verdict on `pick` if it is not the pick itself."""
    return Result(
        label=entrant.label,
        role=entrant.role,
        architecture=entrant.architecture,
        broken=entrant.broken,
        accuracy=estimate_accuracy(known.answers),
        of_seeds=tuple(map(float, known.answers.mean(axis=1))),
        latency=known.latency.drop_samples(),
        peak_memory=known.peak_memory,
        verdict=None if pick is None else judge(pick, known),
    )


def judge(pick: Measured, rival: Measured) -> Verdict:
    """Compare the pick with a rival."""
    gain = estimate_gain(pick.answers, rival.answers)
    found = compare(pick.latency, rival.latency)
    ratio = Estimate(found.ratio, *found.ci95)
    few = min(pick.latency.rounds, rival.latency.rounds) < MIN_ROUNDS
    return Verdict(
        gain=gain,
        ratio=ratio,
        accuracy=_decide(gain.low > 0, gain.high < 0),
        latency="inconclusive" if few else _decide(ratio.high < 1, ratio.low > 1),
    )


def _decide(better: bool, worse: bool) -> Outcome:
    return "better" if better else "worse" if worse else "inconclusive"
