"""Samplers against each other: hypervolume of what they evaluate, on landscapes of known truth.

`python -m benchmarks search` runs everything, Optuna's GP sampler briefly; `python -m
benchmarks.search --samplers random,nsga2 --seeds 3` runs a part, and `--samplers predictor
--workers 1,4,16` compares searches that evaluate several networks at the same time.
docs/search-benchmark.md says what is measured and why.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.landscapes.opening import LANDSCAPES
from benchmarks.samplers import NSGA2, RANDOM, SAMPLERS
from benchmarks.search_runs import PROCESSES, Job, Run, run_jobs
from benchmarks.search_summary import AFTER, Matrix, Summary, Vector, summarise
from benchmarks.table import machine, table
from gnv2_nas.files.writing import write_atomically
from gnv2_nas.stats.intervals import student_95

SEEDS, EVALUATIONS = 10, 250
BRIEFLY, BRIEF_SEEDS, BRIEF_EVALUATIONS = "gp", 2, 60
"""It takes several seconds a proposal, and more with every trial."""
LOG_EVERY_SECONDS = 30.0


def run() -> Table:
    return search_table(_run_all(_everything()))


def _everything() -> list[Job]:
    samplers = [name for name in SAMPLERS if name != BRIEFLY]
    return [
        *_jobs(LANDSCAPES, samplers, range(SEEDS), EVALUATIONS),
        *_jobs(LANDSCAPES, [BRIEFLY], range(BRIEF_SEEDS), BRIEF_EVALUATIONS),
    ]


def search_table(runs: Sequence[Run]) -> Table:
    """One row a landscape and sampler."""
    landscapes = dict.fromkeys(run.job.landscape for run in runs)
    rows = [
        row
        for landscape in landscapes
        for row in _rows(landscape, [run for run in runs if run.job.landscape == landscape])
    ]
    seeds = len({run.job.seed for run in runs})
    columns = (
        "", *(f"after {count}" for count in AFTER), "gain", f"÷ {NSGA2}'s [95%]",
        f"passes {NSGA2}", "CPU time",
    )  # fmt: skip
    title = (
        f"Hypervolume of the true values evaluated, mean ± standard error, {seeds} seeds; gain "
        "over random search\n(promised: 5 times that of NSGA-II, whose end is passed by 50)"
    )
    return table(title, columns, rows)


def _rows(landscape: str, runs: Sequence[Run]) -> list[tuple[str, ...]]:
    summaries = summarise(runs)
    most = max((summary.curves.shape for summary in summaries), key=math.prod)
    return [(landscape,), *(_row(summary, most) for summary in summaries)]


def _row(summary: Summary, most: tuple[int, ...]) -> tuple[str, ...]:
    """The cells of one sampler; `most` seeds and evaluations go without saying."""
    seeds, evaluations = summary.curves.shape
    name = f"  {summary.sampler}"
    if (seeds, evaluations) != most:
        name += f" ({seeds}×{evaluations})"
    compared = summary.multiple is not None and summary.sampler not in (RANDOM, NSGA2)
    passed = "never" if summary.passed is None else f"at {summary.passed}"
    return (
        name,
        *(_mean(summary.curves[:, at - 1]) if at <= evaluations else "" for at in AFTER),
        _mean(summary.gains) if summary.sampler != RANDOM and len(summary.gains) else "",
        _multiple(summary) if compared else "",
        passed if compared else "",
        f"{summary.seconds:.0f} s",
    )


def workers_table(runs: Sequence[Run]) -> Table:
    """One row a landscape, sampler and number of workers."""
    found: dict[tuple[str, str], dict[int, list[Run]]] = {}
    for run in runs:
        place = found.setdefault((run.job.landscape, run.job.sampler), {})
        place.setdefault(run.job.workers, []).append(run)
    rows = [
        (f"{landscape}, {sampler}, {workers}", *_compared(_curves(some), _curves(others[1])))
        for (landscape, sampler), others in found.items()
        for workers, some in sorted(others.items())
    ]
    columns = ("workers", *(f"after {count}" for count in AFTER), *(f"÷ 1, {n}" for n in AFTER))
    title = (
        "Hypervolume at equal numbers of evaluations; ratio to one worker with its 95 % interval"
    )
    return table(title, columns, rows)


def _curves(runs: Sequence[Run]) -> Matrix:
    """(seeds, evaluations) hypervolumes."""
    return np.array([run.hypervolumes for run in sorted(runs, key=lambda run: run.job.seed)])


def _compared(own: Matrix, alone: Matrix) -> list[str]:
    """Means after some evaluations, then ratios to (seeds, evaluations) hypervolumes of others."""
    known = [at for at in AFTER if at <= own.shape[1]]
    ratios = [own[:, at - 1] / alone[:, at - 1] for at in known]
    blank = [""] * (len(AFTER) - len(known))
    means = [_mean(own[:, at - 1]) for at in known]
    return [*means, *blank, *(_interval(each) for each in ratios), *blank]


def _interval(ratios: Vector) -> str:
    """Mean of paired ratios and its 95 % interval, Student's t."""
    if np.all(ratios == 1):
        return ""
    if len(ratios) < 2:
        return f"{ratios[0]:.3f}"
    mean, error = float(ratios.mean()), float(ratios.std(ddof=1)) / len(ratios) ** 0.5
    half = student_95(len(ratios) - 1) * error
    return f"{mean:.3f} [{mean - half:.3f}, {mean + half:.3f}]"


def _mean(values: Vector) -> str:
    """Mean and standard error, to the error's first two digits."""
    if len(values) < 2:
        return f"{values.mean():.4g}"
    error = float(np.std(values, ddof=1)) / len(values) ** 0.5
    decimals = max(0, 1 - math.floor(math.log10(error))) if error > 0 else 0
    return f"{values.mean():.{decimals}f} ± {error:.{decimals}f}"


def _multiple(summary: Summary) -> str:
    if summary.multiple is None:
        return ""
    ratio, low, high = summary.multiple
    return f"{ratio:.1f} [{low:.1f}, {high:.1f}]"


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.search")
    parser.add_argument("--seeds", type=int, default=SEEDS, metavar="N")
    parser.add_argument("--first-seed", type=int, default=0, metavar="N")
    parser.add_argument("--evaluations", type=int, default=EVALUATIONS, metavar="N")
    unhurried = ",".join(name for name in SAMPLERS if name != BRIEFLY)
    parser.add_argument("--samplers", default=unhurried, help=f"of {', '.join(SAMPLERS)}")
    parser.add_argument("--landscapes", default=",".join(LANDSCAPES))
    parser.add_argument("--processes", type=int, default=PROCESSES, metavar="N")
    parser.add_argument(
        "--workers", type=_numbers, default=[1], metavar="N,…",
        help="networks that are evaluated at the same time",
    )  # fmt: skip
    parser.add_argument("--runs", type=Path, help="file to keep the runs in, and go on from")
    given = parser.parse_args(arguments)
    samplers, landscapes = given.samplers.split(","), given.landscapes.split(",")
    for kind, asked, known in (
        ("sampler", samplers, SAMPLERS),
        ("landscape", landscapes, LANDSCAPES),
    ):
        for name in asked:
            if name not in known:
                parser.error(f"unknown {kind} {name!r}; known: {', '.join(known)}")
    seeds = range(given.first_seed, given.first_seed + given.seeds)
    jobs = [
        job._replace(workers=workers)
        for job in _jobs(landscapes, samplers, seeds, given.evaluations)
        for workers in given.workers
    ]
    runs = _run_all(jobs, given.processes, given.runs)
    console = Console(width=None if sys.stdout.isatty() else 140, highlight=False)
    console.print(machine(), markup=False)
    console.print(search_table(runs) if given.workers == [1] else workers_table(runs))


def _numbers(text: str) -> list[int]:
    return [int(each) for each in text.split(",")]


def _jobs(
    landscapes: Sequence[str], samplers: Sequence[str], seeds: Sequence[int], evaluations: int
) -> list[Job]:
    """Every sampler on every landscape with every seed."""
    return [
        Job(landscape, sampler, seed, evaluations)
        for landscape in landscapes
        for sampler in samplers
        for seed in seeds
    ]


def _run_all(
    jobs: Sequence[Job], processes: int = PROCESSES, file: Path | None = None
) -> list[Run]:
    """The runs of all jobs, in their order, after those of other jobs that `file` has.

    Runs that the file has are not made again; new ones are added to it as they end.
    """
    done = {run.job: run for run in _read(file)}
    missing = [job for job in jobs if job not in done]
    last = time.monotonic()
    for count, each in enumerate(run_jobs(missing, processes), start=1):
        done[each.job] = each
        if file is not None:
            write_atomically(file, msgspec.json.encode(list(done.values())))
        if time.monotonic() - last >= LOG_EVERY_SECONDS:
            last = time.monotonic()
            print(f"{count} of {len(missing)} searches", file=sys.stderr, flush=True)
    others = [run for job, run in done.items() if job not in set(jobs)]
    return [*others, *(done[job] for job in jobs)]


def _read(file: Path | None) -> list[Run]:
    if file is None or not file.exists():
        return []
    return msgspec.json.decode(file.read_bytes(), type=list[Run])


if __name__ == "__main__":
    main()
