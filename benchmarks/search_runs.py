"""Searches of landscapes, several at once, each by one sampler with one seed."""

from __future__ import annotations

import multiprocessing
import random
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from typing import NamedTuple

import numpy as np
import optuna

from benchmarks.landscapes.landscape import Landscape, Params
from benchmarks.landscapes.opening import open_landscape
from benchmarks.samplers import make_sampler
from gnv2_nas.search.analysis.pareto import hypervolume

PROCESSES = 2


class Job(NamedTuple):
    """One search."""

    landscape: str
    sampler: str
    seed: int
    """Of the sampler, the noise and the landscape's instance."""
    evaluations: int
    workers: int = 1
    """Number of networks that are evaluated at the same time."""


class Run(NamedTuple):
    """What became of a job."""

    job: Job
    hypervolumes: list[float]
    """Of the true values of everything evaluated so far, after each evaluation."""
    seconds: float
    """CPU time, the landscape's own included."""


def run_jobs(jobs: Sequence[Job], processes: int = PROCESSES) -> Iterator[Run]:
    """Each job's run as it ends, in processes of one thread each."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, context, initializer=_one_thread) as pool:
        for future in as_completed([pool.submit(run_job, job) for job in jobs]):
            yield future.result()


def run_job(job: Job) -> Run:
    """One search, as any user of Optuna would write it."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    landscape = open_landscape(job.landscape, job.seed)
    sampler = make_sampler(job.sampler, job.seed)
    start = time.process_time()
    truths = search(landscape, sampler, job.evaluations, job.seed, job.workers)
    seconds = time.process_time() - start
    return Run(job, hypervolumes(landscape, truths), seconds)


def search(
    landscape: Landscape,
    sampler: optuna.samplers.BaseSampler,
    evaluations: int,
    seed: int,
    workers: int = 1,
) -> list[tuple[float, ...]]:
    """The true values of what a sampler that sees only noisy ones evaluates, in order.

    Args:
        workers: a proposal is made as soon as one of so many is free, and the sampler knows the
            values of what the others have finished. Any of them may be the next to finish.
    """
    study = optuna.create_study(directions=list(landscape.directions), sampler=sampler)
    noise, order = random.Random(f"noise/{seed}"), random.Random(f"order/{seed}")
    running: list[tuple[optuna.Trial, Params]] = []
    truths: list[tuple[float, ...]] = []
    for number in range(evaluations):
        while len(running) < min(workers, evaluations - number):
            trial = study.ask()
            running.append((trial, landscape.suggest(trial)))
        trial, params = running.pop(order.randrange(len(running)))
        constraints = landscape.constraints(params)
        for name, excess in constraints.items():
            trial.set_constraint(name, excess)
        study.tell(trial, list(landscape.evaluate(params, noise)))
        feasible = all(excess <= 0 for excess in constraints.values())
        truths.append(landscape.true_values(params) if feasible else landscape.reference)
    return truths


def hypervolumes(landscape: Landscape, truths: Sequence[Sequence[float]]) -> list[float]:
    """The hypervolume after each of the evaluations; what is infeasible adds nothing."""
    signs = [1.0 if direction == "minimize" else -1.0 for direction in landscape.directions]
    losses, reference = np.array(truths) * signs, np.array(landscape.reference) * signs
    return [hypervolume(losses[:count], reference) for count in range(1, len(losses) + 1)]


def _one_thread() -> None:
    import torch

    torch.set_num_threads(1)
