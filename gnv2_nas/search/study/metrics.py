"""How the page names, scales and compares what a candidate is judged by."""

from __future__ import annotations

import math

import msgspec

from gnv2_nas.quality import EstimatorInfo
from gnv2_nas.search.study.records import ObjectiveName
from gnv2_nas.units import format_quantity


class Term(msgspec.Struct, frozen=True):
    """One metric as the page shows it."""

    name: ObjectiveName
    title: str
    in_text: str
    """The title within a sentence."""
    unit: str
    scale: float
    """One `unit` in base units: an axis shows values divided by it."""
    less: str
    """What the better of two networks has."""
    no_worse: str
    question: str
    """Title of the card that asks for the best network in this metric."""
    note: str = ""
    noise: float = 0.0
    """Differences up to this say nothing; 0 where arithmetic or an interval decides."""
    is_accuracy: bool = False

    @property
    def axis_title(self) -> str:
        if self.is_accuracy:
            return f"{self.title}, {self.unit}"
        extra = self.unit or self.note
        return f"{self.title} ({extra})" if extra else self.title

    @property
    def column_title(self) -> str:
        """Over a column of values without their unit: "accuracy, %", "Zen-score"."""
        return f"accuracy, {self.unit}" if self.is_accuracy else self.title

    def format(self, value: float) -> str:
        """A value in base units, for reading: "6.12 ms", "Zen-score" 93.4, an accuracy "93.4%"."""
        if math.isnan(value):
            return "not known"
        if self.name == "quality":
            return format_accuracy(value) + self.unit if self.is_accuracy else format_score(value)
        return format_quantity(self.name, value)

    def format_noise(self) -> str:
        """`noise`, for reading: "0.3", "1.9 percentage points"."""
        return f"{self.noise:.2g}{' percentage points' if self.is_accuracy else ''}"


_COSTS = {
    term.name: term
    for term in (
        Term("latency", "Latency", "latency", "ms", 1.0,
             "lower latency", "no higher latency", "Fastest"),
        Term("macs", "FLOPs", "FLOPs", "MFLOPs", 1e6,
             "fewer FLOPs", "no more FLOPs", "Fewest FLOPs"),
        Term("params", "Parameters", "parameters", "M", 1e6,
             "fewer parameters", "no more parameters", "Fewest parameters"),
        Term("memory", "Memory", "memory", "MB", 1e6,
             "less memory", "no more memory", "Least memory"),
    )
}  # fmt: skip


def term(objective: ObjectiveName, quality: EstimatorInfo) -> Term:
    """How to show `objective` in a study whose quality comes from that estimator."""
    if objective != "quality":
        return _COSTS[objective]
    in_text = quality.in_text
    return Term(
        "quality", quality.title, in_text, quality.unit, 1.0, f"a better {in_text}",
        f"no lower {in_text}", f"Best {in_text}", quality.note, quality.noise,
        quality.is_accuracy,
    )  # fmt: skip


def format_accuracy(per_cent: float) -> str:
    """To a tenth: a thousand held-out images tell no less apart."""
    return f"{per_cent:.1f}"


def format_score(value: float) -> str:
    """As many decimals as tell neighbours apart: "93.41", "0.7312", "6,156,908"."""
    if abs(value) >= 1e4:
        return f"{value:,.0f}"
    return f"{value:.2f}" if abs(value) >= 10 else f"{value:.4f}"


def format_share(share: float) -> str:
    """0.184 → "18%"; one digit more below 10%, where it matters."""
    percent = 100 * share
    return f"{percent:.0f}%" if abs(percent) >= 9.95 else f"{percent:.1f}%"
