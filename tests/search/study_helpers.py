"""Studies of made-up candidates: cheap networks, no two alike."""

from __future__ import annotations

from typing import Any

import msgspec
import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, IntDistribution
from optuna.trial import FrozenTrial, TrialState, create_trial
from sqlalchemy import NullPool

from gnv2_nas.arch import preset
from gnv2_nas.devices.fingerprint import Fingerprint
from gnv2_nas.graph import count
from gnv2_nas.measurement.records.record import Measurement
from gnv2_nas.search.storage.retries import Patience
from gnv2_nas.search.storage.store import Store
from gnv2_nas.search.storage.studies import open_or_create
from gnv2_nas.search.study.budgets import parse_budgets
from gnv2_nas.search.study.records import Prediction, Provenance, Trial
from gnv2_nas.search.study.settings import Settings, StudyDevice

REFERENCE_MS = 7.5
STOCK = preset("ghostnetv2-1.0")
COUNTS = count(STOCK)
SETTINGS = Settings(
    space="mobile", space_hash="0" * 12, devices=(StudyDevice("cpu"),), quality="params",
    objectives=("quality", "latency"), budgets=parse_budgets(["2ms", "300MFLOPs"]),
)  # fmt: skip
PROVENANCE = Provenance(sampler="random", seed=0, command="gnv2-nas search", created_at="")
GENES: dict[str, BaseDistribution] = {
    "stage.1.kernel": CategoricalDistribution([3, 5, 7]),
    "stage.1.attention": CategoricalDistribution(["none", "dfc ½"]),
    "stage.1.channels": IntDistribution(8, 96, step=8),
}
IMPATIENT = Patience(passing=0.3, lasting=0.3, first=0.02)
PATIENT = Patience(passing=30, lasting=30, first=0.02)


def on_board(settings: Settings) -> Settings:
    """The same search on another device."""
    return msgspec.structs.replace(settings, devices=(StudyDevice("board"),))


def opened(storage: str, name: str = "demo", **asked: Any) -> Store:
    """A study of a database, made if it is not there."""
    settings = asked.pop("settings", SETTINGS)
    provenance = asked.pop("provenance", PROVENANCE)
    return open_or_create(storage, name, settings, provenance, **asked)[0]


def network(number: int) -> Any:
    return msgspec.structs.replace(STOCK, num_classes=number + 1)


def latency(number: int, ms: float = 1.5) -> Measurement:
    return Measurement(
        architecture=network(number).id, device="cpu", runtime="onnxruntime", threads=1,
        precision="fp32", ms=ms, ci95=(0.9 * ms, 1.1 * ms), ratio=ms / REFERENCE_MS,
        ratio_ci95=(0.95 * ms / REFERENCE_MS, 1.05 * ms / REFERENCE_MS),
        stable=True, reason="", clock="cpu", raw_ms=1.7, rounds=2, taken_at="2026-01-31",
        fingerprint=Fingerprint("Core ½", 2, 4.0, "Linux", "3.11.7", "onnxruntime 1.31"),
        wall_ms=(1.6, 1.8), cpu_ms=(1.5, 1.5),
    )  # fmt: skip


def candidate(number: int, *, quality: float | None = 0.5, ms: float = 1.5, **more: Any) -> Trial:
    """Network `number`, which breaks the budget of 2 ms when it takes longer."""
    known = {
        "latencies": {"cpu": latency(number, ms)},
        "origin": "model",
        "budgets": SETTINGS.budgets,
        "predicted": {"latency": Prediction(1.25, 0.5)},
    }
    return Trial(architecture=network(number), counts=COUNTS, quality=quality, **known | more)


def finished(number: int) -> FrozenTrial:
    """What the sampler's study made of it."""
    return create_trial(
        values=[0.5, 1.5],
        params={
            "stage.1.kernel": (3, 5, 7)[number % 3],
            "stage.1.attention": ("none", "dfc ½")[number % 2],
            "stage.1.channels": 8 + 8 * (number % 12),
        },
        distributions=GENES,
        system_attrs={"constraints": [-0.25, 0.5], "nsga2:generation": number},
    )


def append(store: Store, *numbers: int, **more: Any) -> list[int]:
    return [store.append(candidate(each, sampled=finished(each), **more)) for each in numbers]


def as_optuna(storage: str, name: str = "demo") -> optuna.Study:
    """The study as any other program has it, which leaves no connection open."""
    database = optuna.storages.RDBStorage(storage, engine_kwargs={"poolclass": NullPool})
    return optuna.load_study(study_name=name, storage=database)


def networks(storage: str, name: str = "demo") -> list[int]:
    """Numbers of the networks in a study as Optuna reads it, in the order of its trials."""
    trials = as_optuna(storage, name).trials
    assert [trial.number for trial in trials] == list(range(len(trials)))
    assert all(trial.state in (TrialState.COMPLETE, TrialState.PRUNED) for trial in trials)
    assert all(trial.params.keys() == GENES.keys() for trial in trials)
    read = (msgspec.json.decode(trial.user_attrs["architecture"]) for trial in trials)
    return [network["num_classes"] - 1 for network in read]
