"""What an evaluation found, in sentences and cells that the terminal and the page share."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from gnv2_nas.evaluation.results import Result, Table, Verdict
from gnv2_nas.graph import count
from gnv2_nas.search.analysis.views import capitalize, join_words
from gnv2_nas.stats.trainings import Estimate
from gnv2_nas.units import format_quantity

VERDICT = "the pick is"
RATIO = "pick ÷ it"
MS = "ms"
SAME_LATENCY = 1.1
"""Networks whose latencies differ by less than this factor are called alike."""


class Cell(NamedTuple):
    """A value, and its interval."""

    text: str
    detail: str = ""

    def __str__(self) -> str:
        return f"{self.text} ({self.detail})" if self.detail else self.text


def list_columns(table: Table) -> list[str]:
    """Return the titles of `format_row`."""
    memory = ["peak memory"] if table.pick.peak_memory is not None else []
    return [
        "network", VERDICT, "accuracy, %", "pick gains, points", RATIO, MS, "MFLOPs", *memory,
    ]  # fmt: skip


def format_row(result: Result) -> list[Cell]:
    """Return the cells of a network: its own numbers, and the pick compared with it."""
    counts, latency, verdict = count(result.architecture), result.latency, result.verdict
    accuracy, (low, high) = result.accuracy, latency.own_ci95()
    memory = [] if result.peak_memory is None else [format_quantity("bytes", result.peak_memory)]
    gain, ratio = Cell("–"), Cell("–")
    if verdict is not None:
        gain = Cell(f"{100 * verdict.gain.value:+.1f}", _interval(verdict.gain, points=True))
        ratio = Cell(f"{verdict.ratio.value:.3f}", _interval(verdict.ratio))
    return [
        Cell(f"{result.label}{' (the pick)' if verdict is None else ''}"),
        Cell("–" if verdict is None else verdict.text),
        Cell(f"{100 * accuracy.value:.1f}", f"{100 * accuracy.low:.1f}–{100 * accuracy.high:.1f}"),
        gain,
        ratio,
        Cell(f"{latency.ms:.2f}{'' if latency.stable else ' ?'}", f"{low:.2f}–{high:.2f}"),
        Cell(f"{counts.macs / 1e6:.1f}"),
        *map(Cell, memory),
    ]


def format_line(table: Table, result: Result) -> list[str]:
    """Return `format_row` for a terminal, where milliseconds have no room for their interval."""
    titled = zip(list_columns(table), format_row(result), strict=True)
    return [cell.text if title == MS else str(cell) for title, cell in titled]


def _interval(estimate: Estimate, *, points: bool = False) -> str:
    if points:
        return f"{100 * estimate.low:+.1f} to {100 * estimate.high:+.1f}"
    return f"{estimate.low:.3f}–{estimate.high:.3f}"


def describe_table(table: Table) -> Iterator[str]:
    """Yield what follows from a table, the most important sentence first."""
    yield _describe_stock(table)
    if sentence := _describe_random(table):
        yield sentence


def title_table(table: Table, tables: Sequence[Table]) -> str:
    """Return what sets a table apart: "Within 200MFLOPs, on cpu"; "" if it is the only one."""
    several = len({each.device for each in tables}) > 1
    parts = [table.view, f"on {table.device}" if several else ""]
    return capitalize(", ".join(filter(None, parts)))


def _describe_stock(table: Table) -> str:
    rival = table.best_stock
    if rival is None or rival.verdict is None:
        return f"{table.pick.label} was compared with no stock network."
    which = "the most accurate stock network within the budgets"
    if rival.broken:
        which = (
            "the most accurate stock network, which breaks the budget "
            f"{join_words(rival.broken)} as all stock networks here do"
        )
    elif not table.has_budgets:
        which = "the most accurate stock network"
    return (
        f"{capitalize(rival.verdict.text)}: {table.pick.label} against {rival.label}, {which}. "
        f"{_compare_in_words(table.pick, rival, rival.verdict)}"
    )


def _compare_in_words(pick: Result, rival: Result, verdict: Verdict) -> str:
    gain, ratio = verdict.gain, verdict.ratio
    return (
        f"Accuracy {100 * pick.accuracy.value:.1f} % against {100 * rival.accuracy.value:.1f} % "
        f"({100 * gain.value:+.1f} points, 95 % interval {_interval(gain, points=True)}); "
        f"{ratio.value:.2f} times its latency ({ratio.low:.2f} to {ratio.high:.2f})."
    )


def _describe_random(table: Table) -> str:
    """Return whether the search beat networks that were drawn at random."""
    random, pick = [each for each in table.rivals if each.role == "random"], table.pick.label
    beaten = [each for each in random if each.verdict and each.verdict.accuracy == "better"]
    rest = [each for each in random if each not in beaten]
    if not random:
        return ""
    gains = join_words([_gain_over(each) for each in rest or random])
    if rest:
        return (
            f"{pick} is not shown to be more accurate than {len(rest)} of {len(random)} random "
            f"networks of {_compare_latencies(random)}: {gains} points."
        )
    few = {1: "the random network", 2: "both random networks"}
    which = few.get(len(random), f"all {len(random)} random networks")
    return f"{pick} is more accurate than {which} of {_compare_latencies(random)}: {gains} points."


def _compare_latencies(random: Sequence[Result]) -> str:
    """Return how the latencies of random networks compare with the pick's.

    A search finds networks so fast that none of those drawn may be of their latency.
    """
    times = [1 / each.verdict.ratio.value for each in random if each.verdict]
    if max(abs(math.log(each)) for each in times or [1.0]) <= math.log(SAME_LATENCY):
        return "about its latency"
    low, high = f"{min(times):.1f}", f"{max(times):.1f}"
    span = low if low == high else f"{low} to {high}"
    return f"{span} times its latency, the nearest that were drawn"


def _gain_over(rival: Result) -> str:
    if rival.verdict is None:
        return rival.label
    gain = rival.verdict.gain
    return f"{100 * gain.value:+.1f} ({_interval(gain, points=True)})"


def choose_tone(table: Table) -> str:
    """Return the style of the headline: "good" if the pick is better than stock on both."""
    verdict = table.best_stock and table.best_stock.verdict
    won = verdict and verdict.accuracy == verdict.latency == "better"
    return "good" if won else "unclear"


def choose_badge(result: Result) -> str:
    """Return the style of a verdict: "good" if the pick is better in one respect and not shown to
    be worse in the other; "unclear" if it is worse in one."""
    outcomes = () if result.verdict is None else (result.verdict.accuracy, result.verdict.latency)
    return "unclear" if "worse" in outcomes else "good" if "better" in outcomes else "plain"
