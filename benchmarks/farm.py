"""A simulated farm: the real search and a real PostgreSQL, with scorers and devices that sleep.

`python -m benchmarks farm` searches with 100 scorers and 20 devices after 10,000 trials of random
networks; `python -m benchmarks.farm --past 1000 --seconds 60` more briefly after less. Scorers and
devices take drawn times, which are divided by the speed-up; the search and the database run at
their own speed. So what a trial costs them is true, and the share of the time that devices are idle
is too high rather than too low.

Devices are the bottleneck: each measures every network. Eight new networks and two that are
measured again take 14 seconds, so devices measure up to 0.57 networks a second, while the scorers
could score 1.1.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, suppress
from functools import partial
from typing import NamedTuple, cast

import optuna
from msgspec.structs import replace
from rich.console import Console
from rich.table import Table

from benchmarks.sleeping_farm import SleepingLane, SleepingScorers, Work
from benchmarks.stopwatch import Stopwatch
from benchmarks.table import machine, milliseconds, table
from gnv2_nas.runner import huge_pages
from gnv2_nas.search.evaluate import Evaluator
from gnv2_nas.search.keeper import Keeper
from gnv2_nas.search.lane import Lane
from gnv2_nas.search.lanes import Lanes
from gnv2_nas.search.loop import SearchLoop
from gnv2_nas.search.proposals import Proposals
from gnv2_nas.search.sampler.encoders import GraphEncoder
from gnv2_nas.search.sampler.factory import make_sampler
from gnv2_nas.search.storage.store import Store
from gnv2_nas.search.storage.studies import open_or_create
from gnv2_nas.search.study.records import Provenance
from gnv2_nas.search.study.settings import Settings, StudyDevice
from gnv2_nas.search.timetable import Status
from gnv2_nas.space import load_space
from tests.search.storage.postgres import running_server

PAST, SECONDS, SCORERS, DEVICES, SPEEDUP = 10_000, 240.0, 100, 20, 1.0
SCORE_SECONDS, SCORE_SPREAD = 90.0, 0.4
DEVICE_SPREAD = 0.2
"""Of the time that one device takes for one batch."""
WARM_UP = 160.0
"""Simulated seconds before those that figures are of: until all scorers and devices have work."""
TELL_EVERY = 20.0
"""Seconds between two lines of progress."""
EVERY = 1_000
"""Past trials whose cost is shown together."""
SPACE = "ghostnetv2"
PROVENANCE = Provenance(sampler="predictor", seed=0, command="", created_at="")
PARTS = {
    "database": (Store, "_call"),
    "proposing": (Proposals, "ask"),
    "choosing networks to measure again": (SearchLoop, "_select_again"),
    "keeping": (Keeper, "take_over"),
    "what devices lack": (SearchLoop, "_complete"),
}


class Totals(NamedTuple):
    """Since the beginning of a search."""

    trials: int
    seconds: float
    cpu: float
    """CPU time of this process, without that of simulating others."""
    scorers: float
    """Simulated seconds in which scorers were busy, in all."""
    devices: list[float]
    """Simulated seconds in which each device was busy."""
    parts: dict[str, float]


class Farm:
    """Scorers, devices, and what they have cost so far."""

    def __init__(self, scorers: int, devices: int, speedup: float, unlike: float) -> None:
        self.speedup = speedup
        self.scorers = SleepingScorers(scorers, SCORE_SECONDS, SCORE_SPREAD, Work(speedup))
        self.lanes = [
            SleepingLane(f"device{number:02}", unlike ** (number / max(1, devices - 1)),
                         DEVICE_SPREAD, speedup)
            for number in range(devices)
        ]  # fmt: skip

    @property
    def settings(self) -> Settings:
        devices = tuple(StudyDevice(lane.name) for lane in self.lanes)
        objectives = ("quality", "latency-ratio" if len(devices) > 1 else "latency")
        return Settings(SPACE, "", devices, "params", objectives, budgets=())

    def total(self, trials: int, parts: dict[str, float]) -> Totals:
        works = [self.scorers.work, *(lane.work for lane in self.lanes)]
        cpu = time.process_time() - sum(work.cpu for work in works)
        busy = [lane.work.busy for lane in self.lanes]
        return Totals(trials, time.monotonic(), cpu, self.scorers.work.busy, busy, dict(parts))


def run() -> Table:
    with running_server() as server:
        return farm_table(Farm(SCORERS, DEVICES, SPEEDUP, 1.0), server.url, PAST, SECONDS)


class _EnoughError(Exception):
    """The search has run for as long as it was to."""


class _Search(SearchLoop):
    def _evaluate_baselines(self) -> None:
        """Random networks stand for the stock networks, too."""


def farm_table(farm: Farm, storage: str, past: int, seconds: float) -> Table:
    """Search with a farm after `past` trials, which are made if they are not there."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    found: list[Totals] = []

    told = time.monotonic()

    def observe(status: Status) -> None:
        nonlocal told
        now = farm.total(status.evaluated, spent)
        if now.seconds >= told + TELL_EVERY:
            told = now.seconds
            _say(f"{now.seconds - began:.0f} s: {status.evaluated:,} trials, {status.doing}")
        if now.seconds >= start:
            found.append(now)
        if now.seconds >= start + seconds:
            raise _EnoughError

    store = open_or_create(storage, f"farm-{past}", farm.settings, PROVENANCE)[0]
    rows = list(_fill(store, farm, past))
    with closing(farm.scorers), Stopwatch(PARTS) as spent, suppress(_EnoughError):
        searching = _loop(farm, store)
        searching.observer, began = observe, time.monotonic()
        start = began + WARM_UP / farm.speedup
        searching.run()
    columns = (
        "trials", "networks/s", "devices busy", "least busy", "scorers busy", "driver, cores",
        "driver/trial", *(f"{name}/trial" for name in PARTS),
    )  # fmt: skip
    title = f"{farm.scorers.count} scorers, {len(farm.lanes)} devices, times ÷ {farm.speedup:g}"
    return table(title, columns, [*rows, _row(farm, found[0], found[-1])])


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _fill(store: Store, farm: Farm, past: int) -> Iterator[tuple[str, ...]]:
    """Store finished trials of random networks until there are `past`; yield what they cost."""
    space, settings = load_space(SPACE), farm.settings
    if (stored := len(store.frozen_trials())) >= past:
        return
    seen = {trial.architecture.id for trial in store.trials()}
    sampler = make_sampler("random", len(seen))
    proposals = Proposals(space, (), settings.objectives, sampler, len(seen), seen)
    began, count = 0.0, stored
    for number in range(stored, past):
        trial = proposals.ask()
        assert trial is not None
        network = trial.architecture
        latencies = {lane.name: lane.answer(network) for lane in farm.lanes}
        trial = replace(trial, quality=farm.scorers.score(network), latencies=latencies)
        trial = proposals.tell(trial)
        before = time.perf_counter()
        store.append(trial)
        began += time.perf_counter() - before
        if (number + 1) % EVERY == 0:
            _say(f"{number + 1:,} of {past:,} past trials are stored")
            yield (f"{count:,} to {number + 1:,} stored", *[""] * 6, milliseconds(began / EVERY))
            began, count = 0.0, number + 1


def _loop(farm: Farm, store: Store) -> SearchLoop:
    space, settings, past = load_space(SPACE), farm.settings, store.trials()
    seen = {trial.architecture.id for trial in past}
    encoder = partial(GraphEncoder, space, (), settings.objectives, seen)
    sampler = make_sampler("predictor", 0, encoder)
    proposals = Proposals(space, (), settings.objectives, sampler, 0, seen)
    proposals.learn(past)
    # The rest of a lane's methods is for what comes before and after a search.
    lanes = Lanes(cast(Sequence[Lane], farm.lanes))
    evaluator = Evaluator(settings, farm.scorers, lanes, farm.scorers)
    return _Search(space, store, evaluator, proposals, past=past, trials=sys.maxsize)


def _row(farm: Farm, before: Totals, after: Totals) -> tuple[str, ...]:
    trials, seconds = after.trials - before.trials, after.seconds - before.seconds
    simulated = seconds * farm.speedup
    devices = zip(before.devices, after.devices, strict=True)
    busy = [(late - early) / simulated for early, late in devices]
    scorers = (after.scorers - before.scorers) / simulated / farm.scorers.count
    cpu = after.cpu - before.cpu
    parts = [milliseconds((after.parts[name] - before.parts[name]) / trials) for name in PARTS]
    return (
        f"{before.trials:,} to {after.trials:,}", f"{trials / simulated:.2f}",
        f"{sum(busy) / len(busy):.0%}", f"{min(busy):.0%}", f"{scorers:.0%}",
        f"{cpu / seconds:.2f}", milliseconds(cpu / trials), *parts,
    )  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.farm")
    parser.add_argument("--past", type=int, default=PAST, metavar="N")
    parser.add_argument("--seconds", type=float, default=SECONDS, metavar="S")
    parser.add_argument("--scorers", type=int, default=SCORERS, metavar="N")
    parser.add_argument("--devices", type=int, default=DEVICES, metavar="N")
    parser.add_argument("--speedup", type=float, default=SPEEDUP, metavar="X")
    parser.add_argument(
        "--unlike", type=float, default=1.0, metavar="X",
        help="how many times slower the slowest device is than the fastest",
    )  # fmt: skip
    parser.add_argument("--storage", help="URL of a PostgreSQL server; one is started without it")
    given = parser.parse_args(arguments)
    console = Console(width=None if sys.stdout.isatty() else 200, highlight=False)
    console.print(machine(), markup=False)
    farm = Farm(given.scorers, given.devices, given.speedup, given.unlike)
    with ExitStack() as servers:
        storage = given.storage or servers.enter_context(running_server()).url
        console.print(farm_table(farm, storage, given.past, given.seconds))


if __name__ == "__main__":
    huge_pages.restart()  # as the command line does
    main()
