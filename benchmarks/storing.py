"""What a finished trial of 64 parameters costs to store, and a study of them to open."""

from __future__ import annotations

import random
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import msgspec
import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, IntDistribution
from optuna.trial import FrozenTrial, create_trial
from rich.table import Table

from benchmarks.table import milliseconds, table
from gnv2_nas.arch import preset
from gnv2_nas.graph import count
from gnv2_nas.search.storage.store import Store
from gnv2_nas.search.storage.studies import open_or_create, open_study
from gnv2_nas.search.study.records import Progress, Provenance, Trial
from gnv2_nas.search.study.settings import Settings

GENES: dict[str, BaseDistribution] = {
    f"stage.{number // 8}.gene.{number % 8}": (
        CategoricalDistribution(["none", "dfc", "se", 3, 5, 7])
        if number % 2
        else IntDistribution(8, 96, step=8)
    )
    for number in range(64)
}
TRIALS = 100
MANY = 10_000
STUDY = "benchmark"
STOCK = preset("ghostnetv2-1.0")
COUNTS = count(STOCK)
TABLES = ("trial_params", "trial_values", "trial_user_attributes", "trial_system_attributes")
"""Tables with the rows of a trial."""


def run() -> Table:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "studies.db"
        store = opened(file)
        early = _costs(store, 0)
        multiply(file, MANY)
        late = _costs(opened(file), MANY)
        rows = [
            ("append (promised: at most 50 ms)", *map(milliseconds, (*early, *late))),
            ("save_progress", "", "", milliseconds(_progress(store)), ""),
            *_reading(file),
        ]
    columns = ("", f"first {TRIALS}", "CPU time", f"at {MANY:,}", "CPU time")
    return table(f"A trial of {len(GENES)} parameters on SQLite, medians", columns, rows)


def opened(file: Path) -> Store:
    settings = Settings(
        space="", space_hash="", devices=(), quality="", objectives=("quality", "macs"), budgets=()
    )
    provenance = Provenance(sampler="", seed=0, command="", created_at="")
    return open_or_create(f"sqlite:///{file}", STUDY, settings, provenance)[0]


def _finished(number: int) -> Trial:
    network = msgspec.structs.replace(STOCK, num_classes=number + 1)
    return Trial(
        architecture=network, counts=COUNTS, quality=0.5, origin="model", sampled=_template(number)
    )


def _template(number: int) -> FrozenTrial:
    rng = random.Random(number)
    params = {
        name: rng.choice(gene.choices)
        if isinstance(gene, CategoricalDistribution)
        else rng.randrange(8, 97, 8)
        for name, gene in GENES.items()
    }
    return create_trial(
        values=[0.5, 1.5],
        params=params,
        distributions=GENES,
        user_attrs={"architecture": STOCK.to_json()},
        system_attrs={"constraints": [-0.5]},
    )


def _costs(store: Store, first: int) -> tuple[float, float]:
    """Seconds to store a trial, of wall and of CPU time."""
    walls, cpus = [], []
    store.trials()
    for number in range(first + 1, first + TRIALS + 1):
        trial = _finished(number)
        wall, cpu = time.perf_counter(), time.process_time()
        store.append(trial)
        walls.append(time.perf_counter() - wall)
        cpus.append(time.process_time() - cpu)
    return statistics.median(walls), statistics.median(cpus)


def multiply(file: Path, trials: int) -> None:
    """Fill a study with copies of its newest trial, each of another network."""
    with closing(sqlite3.connect(file)) as database, database:
        newest, number = database.execute(
            "SELECT max(trial_id), max(number) FROM trials"
        ).fetchone()
        database.executemany(
            "INSERT INTO trials (number, study_id, state, datetime_start, datetime_complete) "
            "SELECT ?, study_id, state, datetime_start, datetime_complete FROM trials "
            "WHERE trial_id = ?",
            [(each, newest) for each in range(number + 1, trials)],
        )
        for part in TABLES:
            names = _columns(database, part)
            copy = (
                f"INSERT INTO {part} (trial_id, {names}) SELECT trials.trial_id, {names} "  # noqa: S608
                f"FROM trials, {part} WHERE {part}.trial_id = ? AND trials.trial_id > ?"
            )
            database.execute(copy, (newest, newest))
        database.execute(
            "UPDATE trial_user_attributes "
            "SET value_json = replace(value_json, ?, ? || (trial_id + 20000)) "
            "WHERE key = 'architecture' AND trial_id > ?",
            (rf"num_classes\":{number + 2}", r"num_classes\":", newest),
        )


def _columns(database: sqlite3.Connection, part: str) -> str:
    """All but the row's own number, which comes first, and the trial's."""
    names = [row[1] for row in database.execute(f"PRAGMA table_info({part})")][1:]
    return ", ".join(name for name in names if name != "trial_id")


def _progress(store: Store) -> float:
    return statistics.median(
        _seconds(lambda proposed=proposed: store.save_progress(Progress(proposed)))
        for proposed in range(20)
    )


def _reading(file: Path) -> list[tuple[str, ...]]:
    """Opening a study and reading all its trials."""
    storage = f"sqlite:///{file}"

    def by_optuna() -> None:
        optuna.load_study(study_name=STUDY, storage=storage).get_trials(deepcopy=False)

    ways: tuple[tuple[str, Callable[[], object]], ...] = (
        (
            "opening and reading all (promised: at most 5 s)",
            lambda: open_study(storage, STUDY).frozen_trials(),
        ),
        ("with every network and latency decoded", lambda: open_study(storage, STUDY).trials()),
        ("read by Optuna", by_optuna),
    )
    return [(name, "", "", milliseconds(_seconds(read)), "") for name, read in ways]


def _seconds(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start
