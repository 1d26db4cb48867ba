"""One study of a database, which holds finished trials only."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any, TypeVar

import msgspec
from optuna.trial import FrozenTrial

from gnv2_nas.devices.fingerprint import Fingerprint
from gnv2_nas.errors import StudyError
from gnv2_nas.measurement.record import Measurement
from gnv2_nas.search.storage import format as attributes
from gnv2_nas.search.storage.format import (
    Progress,
    Provenance,
    candidate_of,
    finished_trial,
    latencies_of,
    numbered,
    with_latency,
)
from gnv2_nas.search.storage.known_trials import KnownTrials
from gnv2_nas.search.storage.retries import PATIENCE, Patience, persist
from gnv2_nas.search.storage.transactions import Last, StudyAccess, StudyTransaction
from gnv2_nas.search.storage.url import mask_command, mask_url
from gnv2_nas.search.study.records import Settings, StudyRecord, Trial

Answer = TypeVar("Answer")


class Store:
    """One study of one database, which other processes may be writing to.

    Trials are read once and kept: later calls read only what is new. A transaction that the
    database refuses is tried again for a while, see `Patience`; every method may raise a
    `StorageError` when that does not help.
    """

    def __init__(
        self, access: StudyAccess, name: str, patience: Patience = PATIENCE, storage: str = ""
    ) -> None:
        self.name, self._storage = name, storage
        self._access, self._patience = access, patience
        self._known = KnownTrials()
        self._reported: Progress | None = None
        self._has_written = False

    @cached_property
    def settings(self) -> Settings:
        return msgspec.convert(self.attributes()[attributes.SETTINGS], Settings)

    @property
    def provenance(self) -> Provenance:
        return msgspec.convert(self.attributes()[attributes.PROVENANCE], Provenance)

    @property
    def progress(self) -> Progress:
        """Of all processes together; what this one saves later is counted from its first read."""
        progress = msgspec.convert(self.attributes()[attributes.PROGRESS], Progress)
        if self._reported is None:
            self._reported = progress
        return progress

    def attributes(self) -> dict[str, Any]:
        """The user attributes of the study, another program's included."""
        return self._read(lambda transaction: transaction.attributes())

    def keep_reference(self, reference_ms: float | None, fingerprint: Fingerprint) -> Provenance:
        """Keep what milliseconds are expressed in, unless another process was first.

        Returns:
            What is kept now, for all processes.
        """

        def keep(transaction: StudyTransaction) -> Provenance:
            kept = transaction.attributes()[attributes.PROVENANCE]
            provenance = msgspec.convert(kept, Provenance)
            if provenance.fingerprint is None:
                provenance = msgspec.structs.replace(
                    provenance, reference_ms=reference_ms, fingerprint=fingerprint
                )
                transaction.set_attribute(attributes.PROVENANCE, msgspec.to_builtins(provenance))
            return provenance

        return self._write(keep)

    def save_progress(self, progress: Progress) -> None:
        """Keep the totals: what `progress` was at first, and what this process did since.

        What other processes did in the meantime is kept. A commit whose answer is lost may count
        twice: these are totals for the report, no more.
        """
        earlier = self._reported or self.progress

        def save(transaction: StudyTransaction) -> None:
            there = msgspec.convert(transaction.attributes()[attributes.PROGRESS], Progress)
            total = there.plus(progress, earlier)
            transaction.set_attribute(attributes.PROGRESS, msgspec.to_builtins(total))

        self._write(save)
        self._reported = progress

    def save_remeasured(self, number: int, measurement: Measurement) -> None:
        """Keep a later, better latency of a finished trial.

        Raises:
            StudyError: the trial is not there, or holds another network.
        """
        trials = {trial.number: trial for trial in self.trials()}
        if number not in trials:
            raise StudyError(f"study {self.name!r} has no finished trial {number} to measure again")
        network = candidate_of(trials[number]).architecture.id
        if measurement.architecture != network:
            raise StudyError(
                f"trial {number} of study {self.name!r} is network {network}, but the latency is "
                f"that of {measurement.architecture}"
            )
        key, plain = attributes.latency_key(number), measurement.drop_samples()
        self._write(lambda each: each.set_attribute(key, msgspec.to_builtins(plain)))

    def save_confirmed(self, numbers: Sequence[int]) -> None:
        """Keep which trials were measured side by side in the end."""
        self._write(lambda each: each.set_attribute(attributes.CONFIRMED, list(numbers)))

    def confirmed(self) -> frozenset[int]:
        """Numbers of those trials."""
        return frozenset(self.attributes().get(attributes.CONFIRMED, ()))

    def append(self, candidate: Trial, trial: FrozenTrial | None) -> int:
        """Keep a finished trial, in one transaction.

        Args:
            candidate: what was found out.
            trial: the finished trial it came from; None for a baseline outside the space.

        Returns:
            Its number. When the same network is there already, most likely from another process,
            nothing is stored and it is the number of that trial, which is no news then; a label
            that the other trial does not have is stored all the same.
        """
        stored = finished_trial(candidate, trial, self.settings.objectives)
        known = self._known

        def append(transaction: StudyTransaction) -> tuple[FrozenTrial, Last | None]:
            known.catch_up(transaction)
            # An attempt before this one may have come through, though its answer was lost.
            if (twin := known.twin(stored)) is not None:
                return twin, None
            if not self._has_written:
                self._check_not_made_anew(transaction)
            place = transaction.append(stored, known.last)
            return numbered(stored, place), place

        kept, place = self._write(append)
        self._has_written = True
        if place is None:
            known.no_news(kept)
        else:
            known.add(kept, place)
        return kept.number

    def _check_not_made_anew(self, transaction: StudyTransaction) -> None:
        """A process started later may have made the study with other settings: it was empty."""
        there = msgspec.convert(transaction.attributes()[attributes.SETTINGS], Settings)
        if there != self.settings:
            raise StudyError(
                f"study {self.name!r} was made anew with other settings by another process; "
                "choose another --study"
            )

    def trials(self) -> list[FrozenTrial]:
        """The finished trials, as Optuna has them."""
        self._read(self._known.catch_up)
        return list(self._known.all)

    def new_trials(self) -> list[FrozenTrial]:
        """Finished trials of other processes since the last call, each once.

        The first read of a study, by whatever method, is no news.
        """
        self._read(self._known.catch_up)
        return self._known.take_news()

    def candidates(self) -> tuple[Trial, ...]:
        """What the finished trials hold, with the latest latency of each."""
        return self._candidates(self.attributes())

    def _candidates(self, kept: dict[str, Any]) -> tuple[Trial, ...]:
        latencies, budgets = latencies_of(kept), self.settings.budgets
        return tuple(
            with_latency(candidate_of(trial, budgets), latencies.get(trial.number))
            for trial in self.trials()
        )

    def record(self) -> StudyRecord:
        """The whole study as plain data."""
        kept = self.attributes()
        provenance = msgspec.convert(kept[attributes.PROVENANCE], Provenance)
        progress = msgspec.convert(kept[attributes.PROGRESS], Progress)
        return StudyRecord(
            name=self.name,
            settings=self.settings,
            trials=self._candidates(kept),
            sampler=provenance.sampler,
            seed=provenance.seed,
            command=mask_command(provenance.command),
            created_at=provenance.created_at,
            proposed=progress.proposed,
            rejected=progress.rejected,
            duplicates=progress.duplicates,
            fingerprint=provenance.fingerprint,
            software=provenance.software,
            estimator=provenance.estimator,
            space_source=provenance.space_source,
            confirmed=frozenset(kept.get(attributes.CONFIRMED, ())),
            storage=mask_url(self._storage),
        )

    def _read(self, action: Callable[[StudyTransaction], Answer]) -> Answer:
        def transaction() -> Answer:
            with self._access.reading() as reading:
                return action(reading)

        return persist(transaction, self._patience, self._access.renew, self._storage)

    def _write(self, action: Callable[[StudyTransaction], Answer]) -> Answer:
        def transaction() -> Answer:
            with self._access.writing() as writing:
                return action(writing)

        return persist(transaction, self._patience, self._access.renew, self._storage)
