"""One study of a database: its finished trials, and what is kept beside them."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any, TypeVar

import msgspec
import optuna
from optuna.trial import FrozenTrial

from gnv2_nas.errors import StorageError, StudyError
from gnv2_nas.measurement.records.record import Measurement
from gnv2_nas.search.storage.adding import add_unless_news, check_not_made_anew
from gnv2_nas.search.storage.format import (
    FOREIGN,
    FORMAT,
    FORMAT_VERSION,
    PREFIX,
    PROGRESS,
    SETTINGS,
    STUDY,
    Beginning,
    confirmed_key,
    confirmed_trials,
    drop_samples,
    foreign_baselines,
    freeze_trial,
    latency_key,
    metric_key,
    read_beginning,
    read_latest,
    read_trial,
    total_progress,
)  # fmt: skip
from gnv2_nas.search.storage.retries import PATIENCE, Patience, persist
from gnv2_nas.search.storage.trial_reading import TrialCache, TrialReader, trial_reader
from gnv2_nas.search.storage.trial_writing import study_writer
from gnv2_nas.search.storage.url import mask_command, mask_url
from gnv2_nas.search.study.foreign import ForeignBaseline
from gnv2_nas.search.study.records import Progress, Provenance, StudyRecord, Trial
from gnv2_nas.search.study.settings import Settings

Answer = TypeVar("Answer")


class Store:
    """One study of a database that other processes may be writing to.

    A trial is stored when it is finished, in one transaction. A search killed at any moment leaves
    whole trials only. Trials are read once and kept. A call that the database refuses is repeated,
    see `Patience`; every method may raise `StorageError` when that does not help.

    Args:
        storage: the opened database.
        name: of a study in it.
        url: of the database.
        reader: reads the trials; None for the fastest way.
        newest: number of trials to read, the last of the study; None for all. Trials that are
            stored later are read as well.
    """

    def __init__(
        self,
        storage: optuna.storages.RDBStorage,
        name: str,
        url: str,
        patience: Patience = PATIENCE,
        reader: TrialReader | None = None,
        newest: int | None = None,
    ) -> None:
        self.name, self._url = name, url
        self._storage, self._patience = storage, patience
        self._study = optuna.load_study(study_name=name, storage=storage)
        self._reader = reader or trial_reader(storage, self._study, newest)
        self._writer = study_writer(storage, self._study)
        self._cache = TrialCache()
        self._progress_key = f"{PROGRESS}:{uuid.uuid4().hex}"
        self._has_written = False
        self.in_vain = 0
        """Number of trials that were not stored because another process had stored the network."""

    @property
    def beginning(self) -> Beginning | None:
        """What was written when the study was made; None if another program made it."""
        return read_beginning(self.attributes())

    @cached_property
    def settings(self) -> Settings:
        return self._begun().settings

    @property
    def provenance(self) -> Provenance:
        return self._begun().provenance

    def _begun(self) -> Beginning:
        if (beginning := self.beginning) is None:
            raise StudyError(f"study {self.name!r} was not begun by this program")
        return beginning

    def is_empty(self) -> bool:
        """Whether the study has no trial at all, and no attribute of another program."""
        ours = all(key.startswith(PREFIX) for key in self.attributes())
        return ours and self._call(self._reader.is_empty)

    def begin(self, beginning: Beginning) -> None:
        """Write the beginning of an empty study, in place of one that is there."""
        plain = msgspec.to_builtins(beginning)

        def begin() -> None:
            attributes = self._study.user_attrs
            if FORMAT in attributes:
                # A process of an earlier version may be about to store the first trial: it looks
                # at these two.
                self._study.set_user_attr(SETTINGS, plain["settings"])
                self._study.set_user_attr(FORMAT, FORMAT_VERSION)
            for key in attributes:
                if key.startswith(PROGRESS):
                    self._study.set_user_attr(key, msgspec.to_builtins(Progress()))
            self._study.set_user_attr(STUDY, plain)

        self._call(begin)

    def attributes(self) -> dict[str, Any]:
        """The user attributes of the study, those of other programs included."""
        return self._call(lambda: self._study.user_attrs)

    @property
    def progress(self) -> Progress:
        """Totals of all processes that have worked on the study."""
        return total_progress(self.attributes())

    def save_progress(self, progress: Progress) -> None:
        """Keep the totals of this process. Each has its own attribute, so none is overwritten."""
        self._set({self._progress_key: progress})

    def in_reference(self, latencies: Sequence[Measurement]) -> list[Measurement]:
        """Latencies that were just measured on one device, in the milliseconds of the study.

        They are those of the first trial with a latency there: no slow minute moves a budget.
        """
        if not latencies:
            return []
        first = latencies[0]
        if first.device not in self._cache.first_latencies:
            self._call(self._catch_up)
        reference_ms = self._cache.reference_ms.get(first.device, first.ms / first.ratio)
        return [each.rescale(reference_ms) for each in latencies]

    def save_latencies(self, latencies: Sequence[tuple[Trial, Measurement]]) -> None:
        """Keep later, better latencies of finished trials on the devices they were measured on.

        Raises:
            StudyError: there is no such trial, or it is of another network.
        """
        attributes = {}
        for trial, latency in latencies:
            self._check_network(trial.number, latency.architecture)
            attributes[latency_key(trial.number, latency.device)] = latency.drop_samples()
        self._set(attributes)

    def _check_network(self, number: int, measured: str) -> None:
        """Raise StudyError unless finished trial `number` is of the network that was measured."""
        if number not in self._cache.by_number:
            self._call(self._catch_up)
        if (there := self._cache.by_number.get(number)) is None:
            raise StudyError(f"study {self.name!r} has no finished trial {number} to measure again")
        network = read_trial(there).architecture.id
        if measured != network:
            raise StudyError(
                f"trial {number} of study {self.name!r} is network {network}, but the latency is "
                f"that of {measured}"
            )

    def save_foreign(self, baseline: ForeignBaseline) -> None:
        """Keep a file of another tool; a later latency replaces that on the same device."""
        kept = msgspec.structs.replace(baseline, latencies=drop_samples(baseline.latencies))
        self._set({f"{FOREIGN}{baseline.id}": kept})

    def save_foreign_latency(self, latency: Measurement) -> None:
        """Keep a latency of a file of another tool, which the study has."""
        for each in self.foreign():
            if each.id == latency.architecture:
                latencies = {**each.latencies, latency.device: latency}
                self.save_foreign(msgspec.structs.replace(each, latencies=latencies))

    def foreign(self) -> tuple[ForeignBaseline, ...]:
        """The files of other tools that the study compares its networks with."""
        self._call(self._catch_up)
        return foreign_baselines(self.attributes(), self._cache.reference_ms)

    def save_metrics(self, trial: Trial, more: Mapping[str, float]) -> None:
        """Keep metrics of a finished trial that a device evaluated later."""
        self._set({metric_key(trial.number, name): value for name, value in more.items()})

    def save_confirmed(self, device: str, numbers: Sequence[int]) -> None:
        """Keep which trials were measured side by side on a device at the end."""
        self._set({confirmed_key(device): list(numbers)})

    def confirmed(self, device: str) -> frozenset[int]:
        """Numbers of the trials that were measured side by side on a device at the end."""
        return confirmed_trials(self.attributes(), self.settings)[device]

    def append(self, trial: Trial) -> int:
        """Store a finished trial.

        Returns:
            Its number. If the study has a trial of the same network, most likely from another
            process, that trial's number, and nothing is stored. A stock network is stored beside
            a trial that does not have its label.

        Raises:
            StudyError: another process has made the study anew with other settings.
        """
        new = freeze_trial(trial, self.settings.objectives)

        def append() -> FrozenTrial:
            added = False
            # Another process, or an earlier attempt whose answer was lost, may have stored it.
            while (twin := self._find_twin(new)) is None:
                if added:
                    raise StorageError(f"study {self.name!r} has lost the trial that was stored")
                if not self._has_written:
                    check_not_made_anew(self._study, self.settings)
                added = add_unless_news(self._writer.write, new, self._storage.engine, self._reader)
            self.in_vain += not added
            return twin

        stored = self._call(append)
        self._has_written = True
        self._cache.forget_news(stored)
        return stored.number

    def frozen_trials(self) -> list[FrozenTrial]:
        """The finished trials as Optuna has them, each network once."""
        self._call(self._catch_up)
        return list(self._cache.trials)

    def new_trials(self) -> list[Trial]:
        """Finished trials of other processes since the last call.

        Trials that were there when the study was first read are left out.
        """
        self._call(self._catch_up)
        return self._read_trials(self._cache.take_news(), {})

    def trials(self) -> tuple[Trial, ...]:
        """The finished trials, each network once, with the latest latency of each."""
        return tuple(self._read_trials(self.frozen_trials(), self.attributes()))

    def _read_trials(
        self, frozen: Sequence[FrozenTrial], attributes: dict[str, Any]
    ) -> list[Trial]:
        return read_latest(frozen, self.settings.budgets, attributes, self._cache.reference_ms)

    def record(self) -> StudyRecord:
        """The whole study as plain data."""
        attributes, provenance = self.attributes(), self.provenance
        command = mask_command(provenance.command)
        return StudyRecord(
            name=self.name,
            settings=self.settings,
            trials=tuple(self._read_trials(self.frozen_trials(), attributes)),
            provenance=msgspec.structs.replace(provenance, command=command),
            progress=total_progress(attributes),
            fingerprints={
                name: each.fingerprint for name, each in self._cache.first_latencies.items()
            },
            confirmed_on=confirmed_trials(attributes, self.settings),
            foreign=foreign_baselines(attributes, self._cache.reference_ms),
            storage=mask_url(self._url),
        )

    def close(self) -> None:
        """Close the connections to the database; the next call opens new ones."""
        self._storage.engine.dispose()

    def _find_twin(self, trial: FrozenTrial) -> FrozenTrial | None:
        self._catch_up()
        return self._cache.find_twin(trial)

    def _catch_up(self) -> None:
        self._cache.add(self._reader.read_new())

    def _set(self, attributes: Mapping[str, Any]) -> None:
        plain = msgspec.to_builtins(attributes)
        self._call(lambda: self._writer.set_attributes(plain))

    def _call(self, call: Callable[[], Answer]) -> Answer:
        try:
            return persist(call, self._patience, self._storage.engine, self._url)
        except KeyError:
            # This is how Optuna answers for a study that is not there.
            if self.name in optuna.get_all_study_names(self._storage):
                raise
            raise StorageError(
                f"study {self.name!r} is no longer in its database: another program deleted it"
            ) from None
