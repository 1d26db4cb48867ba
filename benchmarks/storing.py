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
from gnv2_nas.search.storage.format import Progress, Provenance
from gnv2_nas.search.storage.opening import open_or_create, open_study
from gnv2_nas.search.storage.store import Store
from gnv2_nas.search.study.records import Settings, Trial

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
PARTS = ("trial_params", "trial_values", "trial_user_attributes", "trial_system_attributes")
"""Tables with the rows of a trial."""


def run() -> Table:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with tempfile.TemporaryDirectory() as folder:
        ways = [Ours(Path(folder)), Optunas(Path(folder)), Floor(Path(folder))]
        early = _costs(ways, 0)
        for way in ways:
            multiply(way.file, MANY)
        late = _costs(ways, MANY)
        progress = _progress(ways[0].file)
        rows = [
            *((way.name, *map(milliseconds, (*early[way], *late[way]))) for way in ways),
            ("save_progress", "", "", milliseconds(progress), ""),
            *_reading(ways[0].file),
        ]
    columns = ("", f"first {TRIALS}", "CPU time", f"at {MANY:,}", "CPU time")
    return table(f"A trial of {len(GENES)} parameters on SQLite, medians", columns, rows)


class Ours:
    """`Store.append`."""

    name = "storing: ours (promised: at most 20 ms)"

    def __init__(self, folder: Path) -> None:
        self.file = folder / "ours.db"
        self._store = opened(self.file)

    def store(self, number: int) -> None:
        self._store.append(*_finished(number))


class Optunas:
    """`create_new_trial` with the whole trial as template: Optuna's one transaction."""

    name = "storing: Optuna's create_new_trial"

    def __init__(self, folder: Path) -> None:
        self.file = folder / "optuna.db"
        opened(self.file)
        self._storage = optuna.storages.RDBStorage(f"sqlite:///{self.file}")
        self._study_id = self._storage.get_study_id_from_name(STUDY)

    def store(self, number: int) -> None:
        self._storage.create_new_trial(self._study_id, template_trial=_template(number))


class Floor:
    """The rows of one of our trials, written by bare sqlite3 in one transaction."""

    name = "floor: the same rows by bare sqlite3"

    def __init__(self, folder: Path) -> None:
        self.file = folder / "floor.db"
        opened(self.file).append(*_finished(0))
        self._connection = sqlite3.connect(self.file, isolation_level=None)
        self._rows = {}
        for part in PARTS:
            names = _columns(self._connection, part)
            select = f"SELECT {names} FROM {part}"  # noqa: S608
            rows = self._connection.execute(select).fetchall()
            marks = ", ".join("?" * (len(rows[0]) + 1))
            insert = f"INSERT INTO {part} (trial_id, {names}) VALUES ({marks})"  # noqa: S608
            self._rows[insert] = rows

    def store(self, number: int) -> None:
        run = self._connection.execute
        run("BEGIN IMMEDIATE")
        trial = "INSERT INTO trials (number, study_id, state) VALUES (?, 1, 'COMPLETE')"
        trial_id = run(trial, (number,)).lastrowid
        for insert, rows in self._rows.items():
            self._connection.executemany(insert, [(trial_id, *row) for row in rows])
        run("COMMIT")


def opened(file: Path) -> Store:
    settings = Settings(
        space="", space_hash="", device="", quality="", objectives=("quality", "macs"), budgets=()
    )
    provenance = Provenance(sampler="", seed=0, command="", created_at="")
    return open_or_create(f"sqlite:///{file}", STUDY, settings, provenance)[0]


def _finished(number: int) -> tuple[Trial, FrozenTrial]:
    network = msgspec.structs.replace(STOCK, num_classes=number + 1)
    candidate = Trial(
        number=-1, architecture=network, params={}, baseline="", counts=COUNTS, quality=0.5,
        latency=None, origin="model",
    )  # fmt: skip
    return candidate, _template(number)


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


def _costs(ways: list[Ours | Optunas | Floor], first: int) -> dict[object, tuple[float, float]]:
    """Way → seconds a trial, of wall and of CPU time; taken in turns, on one noisy disk."""
    walls: dict[object, list[float]] = {way: [] for way in ways}
    cpus: dict[object, list[float]] = {way: [] for way in ways}
    for number in range(first + 1, first + TRIALS + 1):
        for way in ways:
            wall, cpu = time.perf_counter(), time.process_time()
            way.store(number)
            walls[way].append(time.perf_counter() - wall)
            cpus[way].append(time.process_time() - cpu)
    return {way: (statistics.median(walls[way]), statistics.median(cpus[way])) for way in ways}


def multiply(file: Path, trials: int) -> None:
    """Fill a study with copies of its newest trial."""
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
        for part in PARTS:
            names = _columns(database, part)
            copy = (
                f"INSERT INTO {part} (trial_id, {names}) SELECT trials.trial_id, {names} "  # noqa: S608
                f"FROM trials, {part} WHERE {part}.trial_id = ? AND trials.trial_id > ?"
            )
            database.execute(copy, (newest, newest))


def _columns(database: sqlite3.Connection, part: str) -> str:
    """All but the row's own number, which comes first, and the trial's."""
    names = [row[1] for row in database.execute(f"PRAGMA table_info({part})")][1:]
    return ", ".join(name for name in names if name != "trial_id")


def _progress(file: Path) -> float:
    store = opened(file)
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
        ("opening and reading all: ours", lambda: open_study(storage, STUDY).trials()),
        ("the same by Optuna", by_optuna),
    )
    return [(name, "", "", milliseconds(_seconds(read)), "") for name, read in ways]


def _seconds(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start
